package import ConfigModel
import FoundationEssentials
import PropertyFormats

/// Carillon's settings from a YAML file, the environment and the command line.
package enum SettingsFile {
    /// Reads `path`; nil: `./carillon.yaml` where there is one, else the defaults. `commandLine` has settings by their keys, such as
    /// `server.port`; `section` reads what `CarillonSettings` does not know. Throws for a file that cannot be read or that has an unknown key.
    package static func load(
        _ path: String?, environment: [String: String] = ProcessInfo.processInfo.environment, commandLine: [String: String] = [:],
        section: CarillonSettings.Section = { _ in }
    ) throws(SettingsError) -> CarillonSettings {
        let name = path ?? "carillon.yaml"
        let properties = path != nil || FileManager.default.fileExists(atPath: name) ? try properties(of: name) : []
        return try CarillonSettings(
            file: name, properties: properties, environment: environment, commandLine: commandLine, section: section)
    }

    /// What the YAML file says, flat.
    package static func properties(of path: String) throws(SettingsError) -> [Property] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw SettingsError(message: "the settings file \(path) cannot be read; is the path right?")
        }
        do throws(PropertyFormatError) {
            let documents = try PropertyFile.parse(Array(data), as: .yaml, path: path)
            guard documents.count <= 1 else {
                throw PropertyFormatError(path: path, reason: "has \(documents.count) documents; settings are one document")
            }
            return documents.first?.properties ?? []
        } catch {
            throw SettingsError(message: error.description)
        }
    }
}
