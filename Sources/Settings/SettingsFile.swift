import ConfigModel
import Foundation
import PropertyFormats
package import Settings

/// Carillon's settings from a YAML file, the environment and the command line.
package enum SettingsFile {
    /// Reads `path`; nil: `./carillon.yaml` where there is one, else the defaults. `commandLine` has settings by their keys, such as
    /// `server.port`. Throws for a file that cannot be read or that has an unknown key.
    package static func load(
        _ path: String?, environment: [String: String] = ProcessInfo.processInfo.environment, commandLine: [String: String] = [:]
    ) throws(SettingsError) -> CarillonSettings {
        let name = path ?? "carillon.yaml"
        var properties: [Property] = []
        if let data = FileManager.default.contents(atPath: name) {
            do throws(PropertyFormatError) {
                let documents = try PropertyFile.parse(Array(data), as: .yaml, path: name)
                guard documents.count <= 1 else {
                    throw PropertyFormatError(path: name, reason: "has \(documents.count) documents; settings are one document")
                }
                properties = documents.first?.properties ?? []
            } catch {
                throw SettingsError(message: error.description)
            }
        } else if path != nil {
            throw SettingsError(message: "the settings file \(name) cannot be read; is the path right?")
        }
        return try CarillonSettings(file: name, properties: properties, environment: environment, commandLine: commandLine)
    }
}
