internal import ConfigModel

/// One document → flat properties: merge keys followed, keys joined, lists numbered.
struct YAMLFlattening {
    private struct Entry {
        /// What makes two keys the same: `1` and `'1'` are not.
        var identity: String
        /// As it stands in a flat key.
        var key: String
        var value: Int
    }

    private let tree: YAMLTree
    private let path: String
    /// Bytes that keys and values may still take.
    private(set) var budget: Int
    private var collector = PropertyCollector()
    private var entries: [Int: [Entry]] = [:]
    /// An alias may stand for a node that holds aliases: a tree can be deeper than its file is nested.
    private let maximumDepth: Int
    private var depth = 0

    init(_ tree: YAMLTree, path: String, budget: Int, maximumDepth: Int) {
        self.tree = tree
        self.path = path
        self.budget = budget
        self.maximumDepth = maximumDepth
    }

    /// Nil for a document that holds nothing: null or an empty text.
    mutating func document() throws(PropertyFormatError) -> PropertyDocument? {
        guard let root = tree.root else { return nil }
        switch tree.nodes[root].content {
        case .scalar:
            guard let value = try value(of: root), value != .string("") else { return nil }
            collector.put(Property(key: "document", value: value, origin: origin(of: root)))
        case .sequence(let items):
            if !items.isEmpty { try flatten(root, at: "document") }
        case .mapping(let pairs):
            if tree.nodes[root].tag == .set {
                if !pairs.isEmpty { try flatten(root, at: "document") }
            } else {
                try flatten(root, at: "")
            }
        }
        return PropertyDocument(properties: collector.properties)
    }

    private mutating func flatten(_ index: Int, at key: String) throws(PropertyFormatError) {
        try enter(index)
        defer { depth -= 1 }
        try spend(32 + key.utf8.count, at: index)
        let node = tree.nodes[index]
        switch node.content {
        case .scalar:
            let value = try value(of: index) ?? .string("")
            if case .string(let text) = value { try spend(text.utf8.count, at: index) }
            collector.put(Property(key: key, value: value, origin: origin(of: index)))
        case .sequence(let items):
            guard node.tag == nil || node.tag == .sequence || node.tag == .orderedMapping else {
                throw failure(index, "a list where its tag asks for something else")
            }
            if items.isEmpty {
                collector.put(Property(key: key, value: .string(""), origin: origin(of: index)))
            } else if node.tag == .orderedMapping {
                try flattenOrderedMapping(items, at: key)
            } else {
                for (number, item) in items.enumerated() { try flatten(item, at: "\(key)[\(number)]") }
            }
        case .mapping(let pairs):
            if node.tag == .set {
                if pairs.isEmpty { collector.put(Property(key: key, value: .string(""), origin: origin(of: index))) }
                for (number, pair) in pairs.enumerated() { try flatten(pair.key, at: "\(key)[\(number)]") }
                return
            }
            for entry in try flatEntries(of: index) { try flatten(entry.value, at: Self.join(key, entry.key)) }
        }
    }

    /// `!!omap [a: 1, b: 2]`: a map whose order counts.
    private mutating func flattenOrderedMapping(_ items: [Int], at key: String) throws(PropertyFormatError) {
        for item in items {
            guard case .mapping(let pairs) = tree.nodes[item].content, pairs.count == 1 else {
                throw failure(item, "an !!omap whose items are not single pairs")
            }
            for entry in try flatEntries(of: item) { try flatten(entry.value, at: Self.join(key, entry.key)) }
        }
    }

    /// A key that begins with a bracket follows without a dot; below a blank key a key stands alone.
    private static func join(_ path: String, _ key: String) -> String {
        guard path.contains(where: { !$0.isWhitespace }) else { return key }
        return key.hasPrefix("[") ? path + key : "\(path).\(key)"
    }

    /// The entries of a mapping with what it merges; of those that come to the same flat key the last, at the place of the first.
    private mutating func flatEntries(of index: Int) throws(PropertyFormatError) -> [Entry] {
        let all = try mergedEntries(of: index)
        var places: [String: Int] = [:]
        var result: [Entry] = []
        for entry in all {
            if let place = places[entry.key] {
                result[place] = entry
            } else {
                places[entry.key] = result.count
                result.append(entry)
            }
        }
        return result
    }

    /// Entries in order, `<<` replaced by what it names: the mapping's own keys win over merged ones, and of those the first.
    private mutating func mergedEntries(of index: Int) throws(PropertyFormatError) -> [Entry] {
        if let known = entries[index] { return known }
        try enter(index)
        defer { depth -= 1 }
        guard case .mapping(let pairs) = tree.nodes[index].content, tree.nodes[index].tag == nil || tree.nodes[index].tag == .mapping else {
            throw failure(index, "a map where its tag asks for something else")
        }
        var result: [Entry] = []
        var places: [String: Int] = [:]
        var own: Set<String> = []
        for pair in pairs {
            guard let entry = try entry(pair) else {
                for merged in try entriesToMerge(pair.value) where places[merged.identity] == nil {
                    try spend(32, at: pair.value)
                    places[merged.identity] = result.count
                    result.append(merged)
                }
                continue
            }
            guard own.insert(entry.identity).inserted else { throw failure(pair.key, "a key that the same map already has") }
            if let place = places[entry.identity] {
                result[place] = entry
            } else {
                places[entry.identity] = result.count
                result.append(entry)
            }
        }
        entries[index] = result
        return result
    }

    private mutating func entriesToMerge(_ index: Int) throws(PropertyFormatError) -> [Entry] {
        switch tree.nodes[index].content {
        case .mapping: return try mergedEntries(of: index)
        case .sequence(let items):
            var all: [Entry] = []
            for item in items {
                guard case .mapping = tree.nodes[item].content else { throw failure(item, "<< can only merge maps") }
                let merged = try mergedEntries(of: item)
                try spend(32 * merged.count, at: item)
                all += merged
            }
            return all
        case .scalar: throw failure(index, "<< can only merge maps")
        }
    }

    /// Nil for a merge key.
    private mutating func entry(_ pair: (key: Int, value: Int)) throws(PropertyFormatError) -> Entry? {
        let node = tree.nodes[pair.key]
        guard case .scalar(let text, let plain) = node.content else {
            let text = try rendered(pair.key)
            return Entry(identity: "c" + text, key: "[\(text)]", value: pair.value)
        }
        switch try scalar(text, plain: plain, tag: node.tag, at: pair.key) {
        case .merge: return nil
        case .null: throw failure(pair.key, "a key that is null")
        case .value(.string(let string)): return Entry(identity: "s" + string, key: string, value: pair.value)
        case .value(.integer(let digits)): return Entry(identity: "i" + digits, key: "[\(digits)]", value: pair.value)
        case .value(let value): return Entry(identity: "v" + value.text, key: "[\(value.text)]", value: pair.value)
        }
    }

    /// A node as Java prints it where it is a key: `[c, d]`, `{c=d}`.
    private mutating func rendered(_ index: Int) throws(PropertyFormatError) -> String {
        try enter(index)
        defer { depth -= 1 }
        try spend(32, at: index)
        switch tree.nodes[index].content {
        case .scalar:
            let text = try value(of: index)?.text ?? ""
            try spend(text.utf8.count, at: index)
            return text
        case .sequence(let items):
            var parts: [String] = []
            for item in items { parts.append(try rendered(item)) }
            return "[" + parts.joined(separator: ", ") + "]"
        case .mapping(let pairs):
            var parts: [String] = []
            for pair in pairs { parts.append(try rendered(pair.key) + "=" + rendered(pair.value)) }
            return "{" + parts.joined(separator: ", ") + "}"
        }
    }

    /// Nil for null; a lone `<<` that is no key is text.
    private func value(of index: Int) throws(PropertyFormatError) -> PropertyValue? {
        guard case .scalar(let text, let plain) = tree.nodes[index].content else { return nil }
        switch try scalar(text, plain: plain, tag: tree.nodes[index].tag, at: index) {
        case .null: return nil
        case .merge: return .string(text)
        case .value(let value): return value
        }
    }

    private func scalar(_ text: String, plain: Bool, tag: YAMLTag?, at index: Int) throws(PropertyFormatError) -> YAMLScalar {
        do {
            return try YAMLScalar(text, plain: plain, tag: tag)
        } catch {
            throw failure(index, error.reason)
        }
    }

    private func origin(of index: Int) -> Origin {
        Origin(line: tree.nodes[index].line, column: tree.nodes[index].column)
    }

    private mutating func enter(_ index: Int) throws(PropertyFormatError) {
        guard depth < maximumDepth else { throw failure(index, "nested deeper than \(maximumDepth) levels where its aliases are followed") }
        depth += 1
    }

    private mutating func spend(_ bytes: Int, at index: Int) throws(PropertyFormatError) {
        budget -= bytes
        if budget < 0 { throw failure(index, "stands for more than a file may: its aliases or keys grow beyond all measure") }
    }

    private func failure(_ index: Int, _ reason: String) -> PropertyFormatError {
        PropertyFormatError(path: path, line: tree.nodes[index].line, column: tree.nodes[index].column, reason: reason)
    }
}
