/// Bytes of RFC 9110's `token`.
enum CharacterClass {
    static let token = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
}

extension Substring {
    var trimmed: String {
        var rest = utf8[...]
        while let first = rest.first, first == 32 || first == 9 { rest = rest.dropFirst() }
        while let last = rest.last, last == 32 || last == 9 { rest = rest.dropLast() }
        return String(Substring(rest))
    }
}
