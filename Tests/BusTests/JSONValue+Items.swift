import Bus

/// Short ways into recordings.
extension JSONValue {
    subscript(_ index: Int) -> JSONValue? {
        if case .array(let values) = self, values.indices.contains(index) { values[index] } else { nil }
    }
    var items: [JSONValue] { if case .array(let values) = self { values } else { [] } }
    var members: [JSONMember] { if case .object(let members) = self { members } else { [] } }
    var string: String? { if case .string(let text) = self { text } else { nil } }
    var isTrue: Bool { self == .boolean(true) }
}
