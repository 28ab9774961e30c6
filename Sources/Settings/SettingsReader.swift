import FoundationEssentials
package import ConfigModel
import Options

/// Reads flat properties into typed values and notices every key that nobody asked for.
///
/// Each value comes from the command line, else from the environment (`server.port` is `CARILLON_SERVER_PORT`), else from the file.
package struct SettingsReader {
    /// A value that is in force and where it came from; secrets are hidden.
    package struct Effective: Sendable, Equatable {
        package var key: String
        package var value: String
        package var origin: String
    }

    private let file: String
    private let properties: [String: Property]
    private let keys: SortedKeys
    private let environment: [String: String]
    private let commandLine: [String: String]
    private var asked: Set<String> = []
    package private(set) var effective: [Effective] = []

    package init(file: String, properties: [Property], environment: [String: String], commandLine: [String: String]) {
        self.file = file
        self.properties = Dictionary(properties.map { ($0.key, $0) }, uniquingKeysWith: { _, last in last })
        keys = SortedKeys(self.properties.keys)
        self.environment = environment
        self.commandLine = commandLine
    }

    // MARK: values

    package mutating func string(_ key: String, secret: Bool = false) -> String? {
        asked.insert(key)
        let found: (String, String)?
        if let value = commandLine[key] {
            found = (value, "command line")
        } else if let value = environment[Self.variable(key)] {
            found = (value, "$" + Self.variable(key))
        } else if let property = properties[key] {
            found = (property.value.text, place(of: key))
        } else {
            found = nil
        }
        guard let (value, origin) = found else { return nil }
        effective.append(Effective(key: key, value: secret ? "(hidden)" : value, origin: origin))
        return value
    }

    package mutating func number(_ key: String, in range: ClosedRange<Int>) throws(SettingsError) -> Int? {
        guard let text = string(key) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw wrong(key, "needs a whole number from \(range.lowerBound) to \(range.upperBound), not `\(text)`")
        }
        return number
    }

    package mutating func flag(_ key: String) throws(SettingsError) -> Bool? {
        guard let text = string(key) else { return nil }
        guard let flag = ["true": true, "yes": true, "on": true, "false": false, "no": false, "off": false][text.lowercased()] else {
            throw wrong(key, "needs true or false, not `\(text)`")
        }
        return flag
    }

    package mutating func duration(_ key: String) throws(SettingsError) -> Duration? {
        guard let text = string(key) else { return nil }
        guard let duration = DurationText.parse(text) else { throw wrong(key, "needs a time such as 500ms, 30s or 5m, not `\(text)`") }
        return duration
    }

    package mutating func choice<Choice: CaseIterable>(_ key: String, _ choices: Choice.Type) throws(SettingsError) -> Choice? {
        guard let text = string(key) else { return nil }
        guard let choice = Choice.allCases.first(where: { "\($0)" == text }) else {
            throw wrong(key, "needs one of \(Choice.allCases.map { "\($0)" }.joined(separator: ", ")), not `\(text)`")
        }
        return choice
    }

    /// A list of texts, or a single text standing for a list of one; nil when the key is not there at all.
    package mutating func strings(_ key: String, secret: Bool = false) -> [String]? {
        let count = count(of: key)
        guard count > 0 else {
            guard let one = string(key, secret: secret) else { return nil }
            return one.isEmpty ? [] : [one]
        }
        return (0..<count).compactMap { string("\(key)[\($0)]", secret: secret) }
    }

    /// A secret, given by itself or as `…-file`, whose content counts without the line feed at its end.
    package mutating func secret(_ key: String) throws(SettingsError) -> String? {
        if let value = string(key, secret: true) { return value }
        guard let path = string(key + "-file") else { return nil }
        return try contents(of: path, named: key + "-file").trimmingSuffix { $0.isNewline }
    }

    /// The text of a file that a setting names.
    package func contents(of path: String, named key: String) throws(SettingsError) -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw wrong(key, "names a file that cannot be read: \(path)")
        }
        guard let text = String(data: data, encoding: .utf8) else { throw wrong(key, "names a file that is not text: \(path)") }
        return text
    }

    // MARK: shape

    /// How many items the list at `key` has.
    package func count(of key: String) -> Int {
        var count = 0
        while isSet("\(key)[\(count)]") { count += 1 }
        return count
    }

    /// Whether anything is set at or below `key`.
    package func has(_ key: String) -> Bool {
        commandLine[key] != nil || environment[Self.variable(key)] != nil || isSet(key)
    }

    /// Whether the file says anything at or below `key`.
    private func isSet(_ key: String) -> Bool { properties[key] != nil || keys.hasAny(below: key) }

    /// The names directly below `key`, sorted: for maps whose keys are the user's own.
    package func names(below key: String) -> [String] {
        let names = keys.beginning(with: key + ".").map {
            String($0.dropFirst(key.count + 1).prefix { $0 != "." && $0 != "[" })
        }
        return Set(names).filter { !$0.isEmpty }.sorted()
    }

    /// Everything below `key`, as it is: for sections whose keys are the user's own.
    package mutating func everything(below key: String) -> [Property] {
        let found = [".", "["].flatMap { keys.beginning(with: key + $0) }.compactMap { properties[$0] }
        for property in found {
            asked.insert(property.key)
            effective.append(Effective(key: property.key, value: "(hidden)", origin: place(of: property.key)))
        }
        return found.map { property in
            var property = property
            property.key = String(property.key.dropFirst(key.count + (property.key.dropFirst(key.count).hasPrefix(".") ? 1 : 0)))
            return property
        }.sorted { $0.key < $1.key }
    }

    // MARK: errors

    package func wrong(_ key: String, _ what: String) -> SettingsError {
        SettingsError(message: "\(place(of: key)): `\(key)` \(what)")
    }

    /// Throws for the first key of the file that no value was read from.
    package func refuseUnknown() throws(SettingsError) {
        // Empty maps and lists flatten to an empty text at their own key: nothing is configured by them.
        let read = SortedKeys(asked)
        let unknown = properties.values.filter { property in
            !asked.contains(property.key) && !(property.value == .string("") && read.hasAny(below: property.key))
        }
        guard let first = unknown.min(by: { ($0.origin?.line ?? 0, $0.key) < ($1.origin?.line ?? 0, $1.key) }) else { return }
        let known = asked.map { Self.general($0) }
        let hint = Spelling.nearest(to: Self.general(first.key), in: Array(Set(known)).sorted()).map { "; did you mean `\($0)`?" } ?? ""
        throw SettingsError(message: "\(place(of: first.key)): unknown setting `\(first.key)`\(hint)")
    }

    private func place(of key: String) -> String {
        if commandLine[key] != nil { return "command line" }
        if environment[Self.variable(key)] != nil { return "$" + Self.variable(key) }
        guard let line = properties[key]?.origin?.line else { return file }
        return "\(file):\(line)"
    }

    /// `repositories[3].git.uri` is `repositories[].git.uri`.
    private static func general(_ key: String) -> String {
        var text = ""
        var inside = false
        for character in key {
            if character == "]" { inside = false }
            if !inside { text.append(character) }
            if character == "[" { inside = true }
        }
        return text
    }

    /// `server.tls.client-ca` is `CARILLON_SERVER_TLS_CLIENT_CA`.
    static func variable(_ key: String) -> String {
        "CARILLON_" + String(key.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }
}

/// Settings that cannot be used: names the key, the place and the remedy.
package struct SettingsError: Error, CustomStringConvertible, Equatable {
    package let message: String
    package init(message: String) { self.message = message }
    package var description: String { message }
}

extension StringProtocol {
    func trimmingSuffix(while predicate: (Character) -> Bool) -> String {
        var text = Substring(self)
        while let last = text.last, predicate(last) { text.removeLast() }
        return String(text)
    }
}
