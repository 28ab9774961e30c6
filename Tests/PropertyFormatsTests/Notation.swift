import ConfigModel
import PropertyFormats

/// `a=1 b="x"@2:3`: properties in one line, strings in quotes, as tests write what they expect.
func notation(_ documents: [PropertyDocument], origins: Bool = false) -> String {
    documents.map { document in
        document.properties.map { property in
            let value =
                switch property.value {
                case .string(let text): "\"\(text)\""
                case .timestamp, .binary: "!\(property.value.text)"
                default: property.value.text
                }
            let origin = origins ? property.origin.map { "@\($0.line):\($0.column)" } ?? "@-" : ""
            return "\(property.key)=\(value)\(origin)"
        }.joined(separator: " ")
    }.joined(separator: " | ")
}

func read(_ text: String, _ path: String, origins: Bool = false, options: PropertyFile.Options = .init()) -> String {
    read(Array(text.utf8), path, origins: origins, options: options)
}

/// What is read, or where and why it cannot be: `!line:column reason`.
func read(_ bytes: [UInt8], _ path: String, origins: Bool = false, options: PropertyFile.Options = .init()) -> String {
    do {
        return notation(try PropertyFile.parse(bytes, path: path, options: options), origins: origins)
    } catch {
        return "!" + error.description
    }
}
