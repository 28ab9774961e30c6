import ConfigClient
import ConfigModel
import PropertyFormats

/// The whole configuration as one file that other programs read.
package enum FlatFile {
    /// By the file's extension.
    package enum Format: String, Sendable, Hashable, CaseIterable {
        case properties, yml, yaml, json

        var mediaType: String { self == .json ? "application/json" : "text/plain;charset=UTF-8" }
    }

    /// Throws for a configuration that the format cannot hold, such as a key that is a text here and a list there.
    static func bytes(_ snapshot: ConfigSnapshot, _ format: Format) throws(RenderingError) -> [UInt8] {
        let flat = FlatEnvironment(snapshot.environment)
        do {
            switch format {
            case .properties: return Array(try flat.propertiesText(resolvingPlaceholders: true).utf8)
            case .yml, .yaml: return Array(try flat.yamlText(resolvingPlaceholders: true).utf8)
            case .json: return Array(try flat.jsonText(resolvingPlaceholders: true).utf8)
            }
        } catch {
            throw RenderingError(description: "the configuration has no form as .\(format.rawValue): \(error.description)")
        }
    }
}
