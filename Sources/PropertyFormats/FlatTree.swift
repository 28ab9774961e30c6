internal import ConfigModel

/// Flat properties put back into maps and lists, as the original does for its YAML and JSON.
struct FlatTree {
    indirect enum Node {
        case null
        case value(PropertyValue)
        case list(List)
        case map(Map)
    }

    final class List {
        var items: [Node] = []
    }

    final class Map {
        private(set) var entries: [(key: String, node: Node)] = []
        private var places: [String: Int] = [:]

        subscript(key: String) -> Node? {
            get { places[key].map { entries[$0].node } }
            set {
                guard let newValue else { return }
                if let place = places[key] {
                    entries[place].node = newValue
                } else {
                    places[key] = entries.count
                    entries.append((key, newValue))
                }
            }
        }
    }

    /// Levels of a tree, and empty places that high indexes may make: far above any configuration.
    private static let maximumDepth = 256
    private static let maximumPadding = 1_000_000

    let root = Map()
    private var padding = 0

    init(_ properties: [Property]) throws(FlatRenderingError) {
        for property in properties {
            var path = KeyPath(property.key)
            try set(property.value, in: root, &path, depth: 0)
        }
    }

    private mutating func set(_ value: PropertyValue, in map: Map, _ path: inout KeyPath, depth: Int) throws(FlatRenderingError) {
        guard depth < Self.maximumDepth else { throw FlatRenderingError.invalidKey(path.text) }
        let before = path
        let key = try path.nextKey()
        switch path.next {
        case .leaf: map[path.prefix + key] = .value(value)
        case .map:
            if case .map(let inner) = map[key] {
                try set(value, in: inner, &path, depth: depth + 1)
            } else if map[key] != nil {
                // A text has a child: as in Boot's logging levels the child stands beside it, under the longer key.
                path.prefix = key + "."
                try set(value, in: map, &path, depth: depth + 1)
            } else {
                let inner = Map()
                map[key] = .map(inner)
                try set(value, in: inner, &path, depth: depth + 1)
            }
        case .list:
            switch map[key] {
            case .list(let list): try set(value, in: list, &path, depth: depth + 1)
            case nil, .null:
                let list = List()
                map[key] = .list(list)
                try set(value, in: list, &path, depth: depth + 1)
            case .value, .map:
                // The original fails here. The items stand beside the text under their whole keys: what is read back is the same.
                map[before.rest] = .value(value)
            }
        }
    }

    private mutating func set(_ value: PropertyValue, in list: List, _ path: inout KeyPath, depth: Int) throws(FlatRenderingError) {
        guard depth < Self.maximumDepth else { throw FlatRenderingError.invalidKey(path.text) }
        let index = try path.nextIndex()
        if index >= list.items.count {
            padding += index - list.items.count
            guard padding <= Self.maximumPadding else { throw FlatRenderingError.invalidKey(path.text) }
            list.items.append(contentsOf: repeatElement(.null, count: index + 1 - list.items.count))
        }
        switch path.next {
        case .leaf: list.items[index] = .value(value)
        case .map:
            let inner: Map
            if case .map(let known) = list.items[index] { inner = known } else { inner = Map() }
            list.items[index] = .map(inner)
            try set(value, in: inner, &path, depth: depth + 1)
        case .list:
            let inner: List
            if case .list(let known) = list.items[index] { inner = known } else { inner = List() }
            list.items[index] = .list(inner)
            try set(value, in: inner, &path, depth: depth + 1)
        }
    }

    /// A flat key, read from left to right.
    private struct KeyPath {
        enum Next {
            case leaf
            case map
            case list
        }
        let text: String
        /// What follows the part that was read last.
        var next = Next.map
        /// What the last part's key gets in front where its parent was a text.
        var prefix = ""
        private let bytes: [UInt8]
        private var position = -1

        init(_ text: String) {
            self.text = text
            bytes = Array(text.utf8)
        }

        /// What was not read yet.
        var rest: String { part(min(position + 1, bytes.count)..<bytes.count) }

        private func part(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

        /// Up to a dot, or to a bracket with a number in it; other brackets belong to the key.
        mutating func nextKey() throws(FlatRenderingError) -> String {
            let start = position + 1
            var bracket = -1
            search: for index in start..<max(start, bytes.count) {
                switch bytes[index] {
                case UInt8(ascii: "."):
                    next = .map
                    position = index
                    break search
                case UInt8(ascii: "["): bracket = index
                case UInt8(ascii: "]") where Int32(part((bracket + 1)..<index)) != nil:
                    next = .list
                    position = bracket
                    break search
                default: break
                }
            }
            guard position != start else { throw FlatRenderingError.invalidKey(text) }
            if position < start {
                position = bytes.count
                next = .leaf
            }
            return part(start..<max(start, position))
        }

        mutating func nextIndex() throws(FlatRenderingError) -> Int {
            let start = position + 1
            guard let end = bytes[start...].firstIndex(of: UInt8(ascii: "]")),
                bytes[start..<end].allSatisfy({ (0x30...0x39).contains($0) }),
                let index = Int32(part(start..<end))
            else { throw FlatRenderingError.invalidKey(text) }
            position = end + 1
            if position == bytes.count {
                next = .leaf
            } else if bytes[position] == UInt8(ascii: ".") {
                next = .map
            } else if bytes[position] == UInt8(ascii: "[") {
                next = .list
            } else {
                throw FlatRenderingError.invalidKey(text)
            }
            return Int(index)
        }
    }
}
