/// Header fields in the order in which they came; names compare without case.
package struct HTTPHeaders: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    package typealias Field = (name: String, value: String)
    private var names: [String]
    private var values: [String]

    package init() {
        names = []
        values = []
    }

    package init(_ fields: [Field]) {
        names = fields.map(\.name)
        values = fields.map(\.value)
    }

    package init(dictionaryLiteral elements: (String, String)...) { self.init(elements.map { (name: $0.0, value: $0.1) }) }

    package var fields: [Field] { zip(names, values).map { (name: $0, value: $1) } }
    package var isEmpty: Bool { names.isEmpty }

    /// The first value of that name. Setting replaces all of them; nil removes them.
    package subscript(_ name: String) -> String? {
        get { names.firstIndex { Self.same($0, name) }.map { values[$0] } }
        set {
            let first = names.firstIndex { Self.same($0, name) }
            if let newValue, let first {
                values[first] = newValue
                for index in names.indices.reversed() where index > first && Self.same(names[index], name) { remove(at: index) }
            } else if let newValue {
                add(name, newValue)
            } else {
                for index in names.indices.reversed() where Self.same(names[index], name) { remove(at: index) }
            }
        }
    }

    /// All values of that name, in order.
    package func all(_ name: String) -> [String] { names.indices.filter { Self.same(names[$0], name) }.map { values[$0] } }

    package mutating func add(_ name: String, _ value: String) {
        names.append(name)
        values.append(value)
    }

    private mutating func remove(at index: Int) {
        names.remove(at: index)
        values.remove(at: index)
    }

    /// Whether two names are the same but for ASCII case.
    package static func same(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count
            && zip(left.utf8, right.utf8).allSatisfy { lower($0) == lower($1) }
    }

    private static func lower(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 32 : byte }
}
