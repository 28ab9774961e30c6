/// Spring's placeholders: `${key}`, `${key:default}`, nested in both parts; `\${x}` is the text `${x}`. What has neither value nor default
/// stays as it is.
package struct PlaceholderResolver: Sendable {
    private let value: @Sendable (String) -> String?
    /// How deep values may name values: far above what anybody writes, far below what a stack holds.
    private static let depthLimit = 32
    /// How many bytes of values one text may take in: values that name others twice grow by powers of two.
    private static let budget = 1 << 20

    /// Whether values may hold placeholders themselves.
    private let isRecursive: Bool

    package init(isRecursive: Bool = true, _ value: @escaping @Sendable (String) -> String?) {
        self.isRecursive = isRecursive
        self.value = value
    }

    package func resolve(_ text: String) -> String {
        var missing: [String] = []
        return resolve(text, missing: &missing)
    }

    /// `missing` gets the key of each placeholder that stays as it is.
    package func resolve(_ text: String, missing: inout [String]) -> String {
        var pass = Pass(budget: Self.budget + text.utf8.count)
        defer { missing += pass.missing }
        return String(decoding: resolved(Array(text.utf8)[...], [], &pass), as: UTF8.self)
    }

    private struct Pass {
        var budget: Int
        var missing: [String] = []
    }

    private func resolved(_ bytes: ArraySlice<UInt8>, _ visited: [String], _ pass: inout Pass) -> [UInt8] {
        var result: [UInt8] = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\\"), bytes[index...].starts(with: "\\${".utf8) {
                result += "${".utf8
                index += 3
                continue
            }
            guard byte == UInt8(ascii: "$"), bytes[index...].starts(with: "${".utf8), let end = Self.end(of: bytes[index...]) else {
                result.append(byte)
                index += 1
                continue
            }
            let inner = bytes[(index + 2)..<end]
            result += replacement(inner, visited, &pass) ?? Array("${".utf8) + resolved(inner, visited, &pass) + [UInt8(ascii: "}")]
            index = end + 1
        }
        return result
    }

    private func replacement(_ inner: ArraySlice<UInt8>, _ visited: [String], _ pass: inout Pass) -> [UInt8]? {
        func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: resolved(bytes, visited, &pass), as: UTF8.self) }
        if let found = lookUp(text(inner), visited, &pass) { return found }
        guard let colon = Self.separator(of: inner) else {
            if pass.missing.count < 100 { pass.missing.append(text(inner)) }
            return nil
        }
        return lookUp(text(inner[..<colon]), visited, &pass) ?? resolved(inner[(colon + 1)...], visited, &pass)
    }

    private func lookUp(_ key: String, _ visited: [String], _ pass: inout Pass) -> [UInt8]? {
        guard visited.count < Self.depthLimit, pass.budget > 0, !visited.contains(key), let found = value(key) else { return nil }
        pass.budget -= found.utf8.count + 1
        return isRecursive ? resolved(Array(found.utf8)[...], visited + [key], &pass) : Array(found.utf8)
    }

    /// The brace that closes the placeholder at the start of `bytes`.
    private static func end(of bytes: ArraySlice<UInt8>) -> Int? {
        var depth = 0
        var index = bytes.startIndex
        while index < bytes.endIndex {
            if bytes[index...].starts(with: "${".utf8) {
                depth += 1
                index += 2
                continue
            }
            if bytes[index] == UInt8(ascii: "{") { depth += 1 }
            if bytes[index] == UInt8(ascii: "}") {
                depth -= 1
                if depth == 0 { return index }
            }
            index += 1
        }
        return nil
    }

    /// The colon between key and default, outside of nested placeholders.
    private static func separator(of inner: ArraySlice<UInt8>) -> Int? {
        var depth = 0
        for index in inner.indices {
            switch inner[index] {
            case UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: ":") where depth == 0: return index
            default: break
            }
        }
        return nil
    }
}
