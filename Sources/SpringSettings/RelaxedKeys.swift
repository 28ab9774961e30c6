import ConfigModel

/// Properties looked up as Spring Boot binds them: `search-paths`, `searchPaths` and `search_paths` are one key. Keeps count of what was read.
struct RelaxedKeys {
    private struct Entry {
        let property: Property
        let order: Int
        var read = false
    }
    private var entries: [String: Entry] = [:]
    private let file: String
    private let resolve: (String) -> String

    /// `resolve` replaces placeholders in a value.
    init(_ properties: [Property], file: String, resolve: @escaping (String) -> String) {
        self.file = file
        self.resolve = resolve
        for (order, property) in properties.enumerated() {
            entries[Self.canonical(property.key)] = Entry(property: property, order: order)  // the later one counts
        }
    }

    /// Lower case, without `-` and `_`; dots and brackets stay.
    static func canonical(_ key: String) -> String { String(key.lowercased().filter { $0 != "-" && $0 != "_" }) }

    mutating func string(_ key: String) -> String? {
        let canonical = Self.canonical(key)
        guard let entry = entries[canonical] else { return nil }
        entries[canonical]?.read = true
        return resolve(entry.property.value.text)
    }

    mutating func flag(_ key: String) throws(SpringSettingsError) -> Bool? {
        guard let text = string(key) else { return nil }
        switch text.lowercased() {
        case "true", "yes", "on", "1": return true
        case "false", "no", "off", "0": return false
        default: throw wrong(key, "needs true or false, not `\(text)`")
        }
    }

    mutating func number(_ key: String) throws(SpringSettingsError) -> Int? {
        guard let text = string(key) else { return nil }
        guard let number = Int(text) else { throw wrong(key, "needs a whole number, not `\(text)`") }
        return number
    }

    /// A list, as `a,b` or as `key[0]`, `key[1]`; nil when there is neither.
    mutating func list(_ key: String) -> [String]? {
        var items: [String] = []
        while let item = string("\(key)[\(items.count)]") { items.append(item) }
        if items.isEmpty {
            guard let text = string(key) else { return nil }
            return text.split(separator: ",").map { $0.trimmed }.filter { !$0.isEmpty }
        }
        return items
    }

    /// The first segments behind `prefix.`, as written, in the order of the file.
    func names(below prefix: String) -> [String] {
        var names: [String] = []
        for (key, entry) in entries.sorted(by: { $0.value.order < $1.value.order }) where key.hasPrefix(Self.canonical(prefix) + ".") {
            let written = entry.property.key.split(separator: ".", omittingEmptySubsequences: false)
            let depth = prefix.split(separator: ".").count
            guard depth < written.count else { continue }
            let name = String(written[depth].prefix { $0 != "[" })
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    /// Everything below `prefix.`, as written behind it, in the order of the file.
    mutating func everything(below prefix: String) -> [Property] {
        let start = Self.canonical(prefix) + "."
        let depth = prefix.split(separator: ".").count
        let found = entries.filter { $0.key.hasPrefix(start) }.sorted { $0.value.order < $1.value.order }
        return found.map { key, entry in
            entries[key]?.read = true
            let rest = entry.property.key.split(separator: ".", omittingEmptySubsequences: false).dropFirst(depth).joined(separator: ".")
            return Property(key: rest, value: .string(entry.property.value.text), origin: entry.property.origin)
        }
    }

    func has(_ prefix: String) -> Bool {
        let canonical = Self.canonical(prefix)
        return entries.keys.contains { $0 == canonical || $0.hasPrefix(canonical + ".") || $0.hasPrefix(canonical + "[") }
    }

    /// What nobody read, in the order of the file.
    var unread: [Property] { entries.values.filter { !$0.read }.sorted { $0.order < $1.order }.map(\.property) }

    func wrong(_ key: String, _ what: String) -> SpringSettingsError {
        let property = entries[Self.canonical(key)]?.property
        let place = property?.origin.map { "\(file):\($0.line)" } ?? file
        return SpringSettingsError(message: "\(place): `\(property?.key ?? key)` \(what)")
    }
}

extension StringProtocol {
    var trimmed: String {
        var text = Substring(self)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
