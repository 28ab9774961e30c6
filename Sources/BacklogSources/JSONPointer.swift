package import JSON

/// A place in a JSON document (RFC 6901): `/queues/0/depth`.
package struct JSONPointer: Sendable, Hashable, CustomStringConvertible {
    package let description: String
    private let tokens: [String]

    /// Nil for what does not begin with `/` and is not empty, and for a `~` that is no `~0` or `~1`.
    package init?(_ text: String) {
        description = text
        guard !text.isEmpty else {
            tokens = []
            return
        }
        guard text.hasPrefix("/") else { return nil }
        var tokens: [String] = []
        for part in text.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            var token = ""
            var rest = part[...]
            while let character = rest.popFirst() {
                guard character == "~" else {
                    token.append(character)
                    continue
                }
                switch rest.popFirst() {
                case "0": token.append("~")
                case "1": token.append("/")
                default: return nil
                }
            }
            tokens.append(token)
        }
        self.tokens = tokens
    }

    /// Nil where the document has nothing there.
    package func value(in document: JSONValue) -> JSONValue? {
        var value = document
        for token in tokens {
            switch value {
            case .object:
                guard let member = value[token] else { return nil }
                value = member
            case .array(let items):
                // No leading zeros, no signs, and nothing behind the end.
                guard let index = Int(token), String(index) == token, items.indices.contains(index) else { return nil }
                value = items[index]
            case .null, .boolean, .number, .string: return nil
            }
        }
        return value
    }
}
