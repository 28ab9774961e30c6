/// JSON as it was written: fields in order, numbers as their digits.
package indirect enum JSONValue: Sendable, Hashable {
    package struct Field: Sendable, Hashable {
        package var name: String
        package var value: JSONValue
        package init(name: String, value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    case null
    case boolean(Bool)
    /// As written: `1`, `-0.5`, `1E8`.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([Field])

    /// The first field of that name; nil when this is no object or has none.
    package subscript(name: String) -> JSONValue? {
        guard case .object(let fields) = self else { return nil }
        return fields.first { $0.name == name }?.value
    }

    /// Nil when this is no text.
    package var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// Nil when this is no list.
    package var items: [JSONValue]? {
        if case .array(let items) = self { items } else { nil }
    }
}
