package import ConfigModel

/// Properties as the environment of a process: `pool.size` is `POOL_SIZE`, `hosts[0]` is `HOSTS_0`, `log-level` is `LOG_LEVEL`.
package struct EnvironmentVariables: Sendable, Hashable {
    package struct Variable: Sendable, Hashable {
        package var name: String
        package var value: String
    }

    /// In the order of the properties, each name once.
    package private(set) var variables: [Variable] = []
    /// Keys that found their name taken by an earlier key, in order: they are left out, and somebody should be told.
    package private(set) var collidingKeys: [String] = []
    /// Keys that cannot be in an environment: nothing is left of their name, or their value holds a NUL.
    package private(set) var unusableKeys: [String] = []

    package init(_ properties: some Sequence<Property>) {
        var taken: Set<String> = []
        for property in properties {
            let value = property.value.text
            guard let name = Self.name(of: property.key), !value.utf8.contains(0) else {
                unusableKeys.append(property.key)
                continue
            }
            guard taken.insert(name).inserted else {
                collidingKeys.append(property.key)
                continue
            }
            variables.append(Variable(name: name, value: value))
        }
    }

    /// Letters in upper case and digits; each run of other characters is one underscore, none at the end. A digit in front gets an underscore.
    /// Nil when nothing is left.
    package static func name(of key: String) -> String? {
        var name: [UInt8] = []
        var isBetween = false
        for byte in key.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                if isBetween || (name.isEmpty && byte <= UInt8(ascii: "9")) { name.append(UInt8(ascii: "_")) }
                isBetween = false
                name.append(byte >= UInt8(ascii: "a") ? byte - 0x20 : byte)
            default: isBetween = true
            }
        }
        return name.isEmpty ? nil : String(decoding: name, as: UTF8.self)
    }

    /// Lines `NAME=value` that a shell can read with `.` and that dotenv readers take: in double quotes where needed, line feeds as they are.
    package var dotenv: String {
        variables.map { "\($0.name)=\(Self.quoted($0.value))\n" }.joined()
    }

    private static func quoted(_ value: String) -> String {
        let isPlain = value.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "_./:@%+,-".utf8.contains(byte)
            }
        }
        guard !isPlain else { return value }
        var text = "\""
        for character in value.unicodeScalars {
            if "\\\"$`".unicodeScalars.contains(character) { text += "\\" }
            text.unicodeScalars.append(character)
        }
        return text + "\""
    }
}
