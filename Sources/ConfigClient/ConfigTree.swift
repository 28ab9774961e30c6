/// Flat entries as a tree: `a.b[0].c` is the child `c` of the item 0 of the child `b` of `a`.
final class ConfigTree {
    private(set) var entry: ConfigEntry?
    private(set) var children: [String: ConfigTree] = [:]
    private(set) var items: [Int: ConfigTree] = [:]

    enum Segment: Hashable {
        case name(String)
        case item(Int)
    }

    /// `entries` are keys at or below `name`.
    init(_ entries: [ConfigEntry], below name: String) {
        let depth = name.isEmpty ? 0 : Self.segments(name).count
        for entry in entries {
            var node = self
            for segment in Self.segments(entry.key).dropFirst(depth) { node = node.child(segment) }
            node.entry = entry
        }
    }

    private init() {}

    private func child(_ segment: Segment) -> ConfigTree {
        switch segment {
        case .name(let name):
            if let child = children[name] { return child }
            let child = ConfigTree()
            children[name] = child
            return child
        case .item(let index):
            if let item = items[index] { return item }
            let item = ConfigTree()
            items[index] = item
            return item
        }
    }

    /// The child of a name, or of one that is the same but for case, `-` and `_`.
    func find(_ name: String) -> ConfigTree? {
        if let child = children[name] { return child }
        let canonical = RelaxedName.canonical(name)
        return children.filter { RelaxedName.canonical($0.key) == canonical }.min { $0.key < $1.key }?.value
    }

    /// The items in order up to the first that is missing; nil where there are none.
    var list: [ConfigTree]? {
        guard !items.isEmpty else { return nil }
        return (0..<items.count).compactMap { items[$0] }
    }

    /// Some entry of this branch, to name a place in an error.
    var anyEntry: ConfigEntry? {
        entry ?? children.min { $0.key < $1.key }?.value.anyEntry ?? items.min { $0.key < $1.key }?.value.anyEntry
    }

    /// `a.b[0][x.y].c` → a, b, item 0, `x.y`, c.
    static func segments(_ key: String) -> [Segment] {
        var segments: [Segment] = []
        var name = ""
        var rest = key[...]
        func isItem(_ text: Substring) -> Int? { text.allSatisfy { $0.isASCII && $0.isNumber } ? Int(text) : nil }
        while let character = rest.popFirst() {
            if character == "." {
                if !name.isEmpty { segments.append(.name(name)) }
                name = ""
            } else if character == "[", let end = rest.firstIndex(of: "]") {
                if !name.isEmpty { segments.append(.name(name)) }
                name = ""
                let inner = rest[..<end]
                segments.append(isItem(inner).map(Segment.item) ?? .name(String(inner)))
                rest = rest[rest.index(after: end)...]
            } else {
                name.append(character)
            }
        }
        if !name.isEmpty { segments.append(.name(name)) }
        return segments
    }
}
