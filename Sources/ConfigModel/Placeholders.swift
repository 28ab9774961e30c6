/// `${key}` and `${key:default}` in texts, nested in both parts, by the rules of Spring Framework 6.2.
///
/// What has neither a value nor a default stays as it is; a `${` that nothing closes is text; `\${x}` is the text `${x}`.
package struct Placeholders {
    private static let maximumDepth = 64
    private let value: (String) -> String?
    /// Bytes that may still be put in.
    private var budget: Int
    private var visited: Set<String> = []
    /// Keys without value and default, in the order of their places; the first hundred.
    private var missing: [String] = []

    /// `text` with its placeholders replaced by what `value` gives for their keys; values may hold placeholders themselves.
    /// Throws on a circle, or when the result would grow beyond `limit` bytes.
    package static func resolve(
        _ text: String, limit: Int = 16 << 20, value: (String) -> String?
    ) throws(PlaceholderError) -> String {
        var missing: [String] = []
        return try resolve(text, limit: limit, missing: &missing, value: value)
    }

    /// As `resolve(_:limit:value:)`; `missing` gets the keys that have neither a value nor a default, at most a hundred.
    package static func resolve(
        _ text: String, limit: Int = 16 << 20, missing: inout [String], value: (String) -> String?
    ) throws(PlaceholderError) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        return try withoutActuallyEscaping(value) { (value) throws(PlaceholderError) -> String in
            var resolver = Placeholders(value: value, budget: limit)
            defer { missing += resolver.missing }
            let masked = mask(Array(text.utf8))
            do throws(PlaceholderError) {
                return String(decoding: unmask(try resolver.resolve(masked[...], depth: 0)), as: UTF8.self)
            } catch {
                var error = error
                error.texts.append(text)
                throw error
            }
        }
    }

    /// The values of an environment for placeholders: of each key the highest. Lists are not replaced as a whole here.
    package static func values(of environment: ConfigEnvironment) -> [String: String] {
        var values: [String: String] = [:]
        for source in environment.propertySources {
            for property in source.properties where values[property.key] == nil { values[property.key] = property.value.text }
        }
        return values
    }

    private init(value: @escaping (String) -> String?, budget: Int) {
        self.value = value
        self.budget = budget
    }

    // A byte that no UTF-8 holds stands in an escaped `${` while the rest is resolved.
    private static let marker: UInt8 = 0xFF
    private static let dollar = UInt8(ascii: "$")
    private static let open = UInt8(ascii: "{")
    private static let close = UInt8(ascii: "}")
    private static let colon = UInt8(ascii: ":")
    private static let backslash = UInt8(ascii: "\\")

    /// Up to two backslashes before `${` go: two, because in JSON and in quoted YAML one is written as two.
    private static func mask(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        for index in bytes.indices {
            result.append(bytes[index])
            guard bytes[index] == dollar, index + 1 < bytes.count, bytes[index + 1] == open, index > 0, bytes[index - 1] == backslash else {
                continue
            }
            result.removeLast(index > 1 && bytes[index - 2] == backslash ? 3 : 2)
            result += [dollar, marker]
        }
        return result
    }

    private static func unmask(_ bytes: [UInt8]) -> [UInt8] { bytes.filter { $0 != marker } }

    private enum Part {
        case text([UInt8])
        case placeholder(Range<Int>)
    }

    private mutating func resolve(_ bytes: ArraySlice<UInt8>, depth: Int) throws(PlaceholderError) -> [UInt8] {
        let text = Array(bytes)
        let ends = Self.ends(in: text)
        return try resolve(Self.parts(of: text, in: 0..<text.count, ends), text, ends, depth)
    }

    private mutating func resolve(
        _ parts: some Sequence<Part>, _ text: [UInt8], _ ends: [Int: Int], _ depth: Int
    ) throws(PlaceholderError) -> [UInt8] {
        guard depth < Self.maximumDepth else { throw PlaceholderError(reason: .tooDeep, texts: []) }
        var result: [UInt8] = []
        for part in parts {
            switch part {
            case .text(let bytes): result += bytes
            case .placeholder(let range): result += try replacement(range, text, ends, depth + 1)
            }
        }
        return result
    }

    /// Of each `${` that is closed, the place of its brace → the place of the one that closes it. Other braces within count in pairs.
    private static func ends(in text: [UInt8]) -> [Int: Int] {
        var ends: [Int: Int] = [:]
        var opened: [Int] = []
        for (index, byte) in text.enumerated() {
            if byte == open {
                opened.append(index)
            } else if byte == close, let start = opened.popLast(), start > 0, text[start - 1] == dollar {
                ends[start] = index
            }
        }
        return ends
    }

    private static func parts(of text: [UInt8], in range: Range<Int>, _ ends: [Int: Int]) -> [Part] {
        var parts: [Part] = []
        var pending: [UInt8] = []
        var index = range.lowerBound
        while index < range.upperBound {
            guard text[index] == dollar, let end = ends[index + 1], end < range.upperBound else {
                pending.append(text[index])
                index += 1
                continue
            }
            if index > range.lowerBound, text[index - 1] == backslash {
                if !pending.isEmpty { pending.removeLast() }
                pending += [dollar, open]
                index += 2
                continue
            }
            if !pending.isEmpty { parts.append(.text(pending)) }
            pending = []
            parts.append(.placeholder((index + 2)..<end))
            index = end + 1
        }
        if !pending.isEmpty { parts.append(.text(pending)) }
        return parts
    }

    private mutating func replacement(
        _ range: Range<Int>, _ text: [UInt8], _ ends: [Int: Int], _ depth: Int
    ) throws(PlaceholderError) -> [UInt8] {
        let parts = Self.parts(of: text, in: range, ends)
        let isNested = parts.contains { if case .placeholder = $0 { true } else { false } }
        guard isNested else {
            let plain = parts.reduce(into: [UInt8]()) { if case .text(let bytes) = $1 { $0 += bytes } }
            let split = Self.split(plain)
            let key = split?.key ?? plain
            if key != plain, let found = try lookUp(plain, depth) { return found }
            if let found = try lookUp(key, depth) { return found }
            if let fallback = split?.fallback { return fallback }
            return unresolved(key)
        }
        var keyParts: [Part] = []
        var fallback: [Part]?
        for (index, part) in parts.enumerated() {
            if case .text(let bytes) = part, let split = Self.split(bytes) {
                keyParts.append(.text(split.key))
                fallback = (split.fallback.map { [.text($0)] } ?? []) + parts[(index + 1)...]
                break
            }
            keyParts.append(part)
        }
        let key = try resolve(keyParts, text, ends, depth)
        if let found = try lookUp(key, depth) { return found }
        if let fallback { return try resolve(fallback, text, ends, depth) }
        return unresolved(key)
    }

    private mutating func unresolved(_ key: [UInt8]) -> [UInt8] {
        if missing.count < 100 { missing.append(String(decoding: Self.unmask(key), as: UTF8.self)) }
        return [Self.dollar, Self.open] + key + [Self.close]
    }

    /// Key and default at the first colon that no backslash escapes; nil without any colon.
    private static func split(_ text: [UInt8]) -> (key: [UInt8], fallback: [UInt8]?)? {
        guard text.contains(colon) else { return nil }
        var key: [UInt8] = []
        for (index, byte) in text.enumerated() {
            if byte == colon {
                guard key.last == backslash, index > 0, text[index - 1] == backslash else { return (key, Array(text[(index + 1)...])) }
                key.removeLast()
            }
            key.append(byte)
        }
        return (key, nil)
    }

    private mutating func lookUp(_ bytes: [UInt8], _ depth: Int) throws(PlaceholderError) -> [UInt8]? {
        let key = String(decoding: Self.unmask(bytes), as: UTF8.self)
        guard let found = value(key) else { return nil }
        guard visited.insert(key).inserted else { throw PlaceholderError(reason: .circular(key: key), texts: []) }
        defer { visited.remove(key) }
        budget -= found.utf8.count
        guard budget >= 0 else { throw PlaceholderError(reason: .tooLarge, texts: []) }
        guard found.utf8.contains(Self.dollar) else { return Array(found.utf8) }
        do throws(PlaceholderError) {
            return try resolve(Array(found.utf8)[...], depth: depth + 1)
        } catch {
            var error = error
            error.texts.append(found)
            throw error
        }
    }
}
