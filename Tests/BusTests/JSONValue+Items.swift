import Bus
import JSON

/// Short ways into recordings.
extension JSONValue {
    subscript(_ index: Int) -> JSONValue? {
        if case .array(let values) = self, values.indices.contains(index) { values[index] } else { nil }
    }
    var isTrue: Bool { self == .boolean(true) }
}
