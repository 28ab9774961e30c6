internal import ConfigModel

/// The compact JSON of a tree.
struct FlatJSON {
    private var writer = JSONWriter()
    private let resolution: FlatPlaceholders?

    static func document(_ tree: FlatTree, resolution: FlatPlaceholders?) throws(PlaceholderError) -> String {
        var json = FlatJSON(resolution: resolution)
        try json.write(.map(tree.root))
        return String(decoding: json.writer.bytes, as: UTF8.self)
    }

    private init(resolution: FlatPlaceholders?) {
        self.resolution = resolution
    }

    private mutating func write(_ node: FlatTree.Node) throws(PlaceholderError) {
        switch node {
        case .null: writer.raw("null")
        case .value(.string(let text)): try write(text)
        case .value(let value): writer.value(value)
        case .list(let list):
            writer.raw("[")
            for (index, item) in list.items.enumerated() {
                if index > 0 { writer.raw(",") }
                try write(item)
            }
            writer.raw("]")
        case .map(let map):
            writer.raw("{")
            var names = Set(map.entries.map(\.key))
            for (index, entry) in map.entries.enumerated() {
                if index > 0 { writer.raw(",") }
                try writeKey(entry.key, &names)
                writer.raw(":")
                try write(entry.node)
            }
            writer.raw("}")
        }
    }

    /// A key whose placeholders make the name of another key stays as it is.
    private mutating func writeKey(_ key: String, _ names: inout Set<String>) throws(PlaceholderError) {
        if let resolution, FlatPlaceholders.mayHold(key) {
            let resolved = try resolution.resolve(key)
            if resolved != key, names.insert(resolved).inserted { return try write(key) }
        }
        writer.string(key)
    }

    private mutating func write(_ text: String) throws(PlaceholderError) {
        guard let resolution, FlatPlaceholders.mayHold(text) else { return writer.string(text) }
        writer.raw("\"")
        writer.raw(text: try resolution.resolveEscaped(text))
        writer.raw("\"")
    }
}
