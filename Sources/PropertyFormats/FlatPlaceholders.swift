internal import ConfigModel
internal import JSON

/// Placeholders against the values of one environment.
struct FlatPlaceholders {
    private let values: [String: String]

    init(_ environment: ConfigEnvironment) {
        values = Placeholders.values(of: environment)
    }

    static func mayHold(_ text: String) -> Bool { text.utf8.contains(UInt8(ascii: "$")) }

    func resolve(_ text: String) throws(PlaceholderError) -> String {
        try Placeholders.resolve(text) { values[$0] }
    }

    /// What stands between the quotes for `text`, resolved.
    func resolveEscaped(_ text: String) throws(PlaceholderError) -> String {
        let pasted = try Placeholders.resolve(JSONWriter.escaped(text)) { values[$0].map(JSONWriter.escaped) }
        // Where a default or a colon was cut through an escape the text is resolved first and escaped after.
        if (try? JSONReader.read(Array("\"\(pasted)\"".utf8))) != nil { return pasted }
        return JSONWriter.escaped(try resolve(text))
    }
}
