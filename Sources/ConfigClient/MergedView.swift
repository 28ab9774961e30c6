import ConfigModel
import Crypto

/// The view that an application has of an environment: for each key the value that wins, with its placeholders resolved and its place.
enum MergedView {
    static func entries(of environment: ConfigEnvironment) -> [String: ConfigEntry] {
        let merged = environment.merged
        var places: [String: (source: String, origin: Origin?)] = [:]
        for source in environment.propertySources {
            for property in source.properties where places[property.key] == nil {
                // The highest source with this key and the winning value; a list that was replaced as a whole has its keys elsewhere too.
                if merged[property.key] == property.value { places[property.key] = (source.name, property.origin) }
            }
        }
        let resolver = PlaceholderResolver { merged[$0]?.text }
        return Dictionary(
            uniqueKeysWithValues: merged.map { key, value in
                let place = places[key]
                var value = value
                if case .string(let text) = value, text.utf8.contains(UInt8(ascii: "$")) { value = .string(resolver.resolve(text)) }
                return (key, ConfigEntry(key: key, value: value, source: place?.source ?? "", origin: place?.origin))
            })
    }

    static func hash(of environment: ConfigEnvironment) -> String {
        let lines = environment.merged.sorted { $0.key < $1.key }.map { "\($0.key.utf8.count) \($0.key) \($0.value)\n" }
        return SHA256.hexadecimalDigest(of: lines.joined())
    }
}
