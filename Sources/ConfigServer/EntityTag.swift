import Crypto

/// Strong entity tags: a hash of the body.
enum EntityTag {
    static func of(_ body: [UInt8]) -> String { "\"\(Hexadecimal.encode(Array(SHA256.digest(of: body).prefix(16))))\"" }

    /// Whether `If-None-Match` names the tag: the same, in a list, weakly, or `*`.
    static func matches(_ field: String, _ tag: String) -> Bool {
        if field == tag || field == "*" { return true }
        guard field.utf8.contains(44) || field.hasPrefix("W/") || field.hasPrefix(" ") else { return false }
        return field.split(separator: ",").contains { item in
            let one = item.trimming()
            return one == tag || one == "W/" + tag || one == "*"
        }
    }
}
