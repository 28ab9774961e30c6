package import ConfigModel

/// Rules for the names that come with a request (config.md §1.10).
package enum Names {
    /// Throws `.invalid` when the name of an application or label could climb anywhere: `..` or `#` in it, raw or decoded however often.
    package static func check(_ audience: Audience) throws(ConfigError) {
        guard audience.applications.allSatisfy(isHarmless), audience.label.map(isHarmless) ?? true else {
            throw ConfigError(.invalid, "Invalid Request")
        }
    }

    private static func isHarmless(_ name: String) -> Bool {
        var text = name
        for _ in 0..<3 {
            guard !text.contains(".."), !text.contains("#"), !text.utf8.contains(0), !text.contains("\\") else { return false }
            let decoded = decode(text)
            if decoded == text { return true }
            text = decoded
        }
        return false
    }

    /// The profiles that were asked for, without empty ones when not strict. Throws `.invalid` for one that is not allowed.
    static func checkedProfiles(_ audience: Audience, strict: Bool) throws(ConfigError) -> [String] {
        for profile in audience.profiles where audience.profiles != [""] {
            guard !strict || isProfile(profile) else {
                throw ConfigError(
                    .invalid, "the profile '\(profile)' is not allowed: letters, digits and - _ . + @, with a letter or digit at both ends")
            }
            guard isHarmless(profile), !profile.contains("/") else {
                throw ConfigError(.invalid, "the profile '\(profile)' is not allowed")
            }
        }
        return audience.profiles.filter { !$0.isEmpty }
    }

    /// Letters and digits of any script, with `-_.+@` between them.
    package static func isProfile(_ name: String) -> Bool {
        guard let first = name.first, let last = name.last, isLetterOrDigit(first), isLetterOrDigit(last) else { return false }
        return name.allSatisfy { isLetterOrDigit($0) || "-_.+@".contains($0) } && !name.contains("..")
    }

    private static func isLetterOrDigit(_ character: Character) -> Bool { character.isLetter || character.isNumber }

    /// Whether a resource can have this path: no climbing, no scheme, nothing that containers hide.
    package static func isResourcePath(_ path: String) -> Bool {
        guard !path.isEmpty, !path.hasSuffix("/"), !path.contains("#"), !path.hasPrefix("(_)"), !path.contains("\\") else { return false }
        var text = path
        for _ in 0..<3 {
            let lower = text.lowercased()
            if lower.contains("web-inf") || lower.contains("meta-inf") || lower.contains(":/") || lower.hasPrefix("url:") { return false }
            if text.contains("#") || text.contains("../") || text.contains("..(_)") { return false }
            if text.split(separator: "/").contains("..") || TreePath.normalised(text) == nil { return false }
            let decoded = decode(text)
            if decoded == text { return true }
            text = decoded
        }
        return false
    }

    /// Whether every percent sign begins a sequence.
    package static func isDecodable(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.indices.allSatisfy { index in
            bytes[index] != 37 || index + 2 < bytes.count && bytes[index + 1...index + 2].allSatisfy { digit($0) != nil }
        }
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }

    /// Percent sequences decoded once; broken ones stay as they are.
    private static func decode(_ text: String) -> String {
        guard text.utf8.contains(37) else { return text }
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == 37, index + 2 < bytes.count, let high = digit(bytes[index + 1]), let low = digit(bytes[index + 2]) {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
