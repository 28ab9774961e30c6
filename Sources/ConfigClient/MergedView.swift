import ConfigModel

/// The view that an application has of an environment: for each key the value that wins, with its placeholders resolved and its place.
enum MergedView {
    /// `merged` is that of the environment.
    static func entries(of environment: ConfigEnvironment, _ merged: [String: PropertyValue]) -> [String: ConfigEntry] {
        var places: [String: (source: String, origin: Origin?)] = [:]
        for source in environment.propertySources {
            for property in source.properties where places[property.key] == nil {
                // The highest source with this key and the winning value; a list that was replaced as a whole has its keys elsewhere too.
                if merged[property.key] == property.value { places[property.key] = (source.name, property.origin) }
            }
        }
        return Dictionary(
            uniqueKeysWithValues: merged.map { key, served in
                let place = places[key]
                let value = resolve(served, merged)
                return (key, ConfigEntry(key: key, value: value, served: served, source: place?.source ?? "", origin: place?.origin))
            })
    }

    /// A text with its placeholders resolved. What goes round in circles stays as it is: a server refuses such a commit, and a client that
    /// got it nevertheless has no better value.
    private static func resolve(_ value: PropertyValue, _ merged: [String: PropertyValue]) -> PropertyValue {
        guard case .string(let text) = value, text.utf8.contains(UInt8(ascii: "$")) else { return value }
        return (try? Placeholders.resolve(text, limit: 1 << 20) { merged[$0]?.text }).map { .string($0) } ?? value
    }
}
