/// What the URI of a broker says: `scheme://user:password@host:port,host2:port2/path?name=value&name2=value2`.
///
/// A binder takes the parts off in its own order, which decides what a password may hold unescaped (`/` where the credentials go first) and what a
/// path may (`@` where the path does). Errors are `.invalid` and never show the password.
package struct BrokerURI: Sendable {
    package struct Address: Sendable, Hashable, CustomStringConvertible {
        package var host: String
        package var port: Int
        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
        package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    /// What a broker is asked for beyond its place; refused by name where the binder does not know it.
    package struct Option: Sendable {
        package let name: String
        /// Empty where there is none.
        package let value: String
        let broker: String

        package func number(_ range: ClosedRange<Int>) throws(BinderError) -> Int {
            guard let number = Int(value), range.contains(number) else {
                throw BinderError(.invalid, "\(name) of a \(broker) URI is a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }

        package func flag() throws(BinderError) -> Bool {
            guard let flag = Bool(value) else { throw BinderError(.invalid, "\(name) of a \(broker) URI is true or false") }
            return flag
        }

        package func unknown(_ known: String) -> BinderError {
            BinderError(.invalid, "a \(broker) URI has no option \(name): \(known)")
        }
    }

    private let broker: String
    package let isTLS: Bool
    /// What was not taken off yet, without the options.
    private var rest: Substring
    private let query: Substring

    /// `broker` is how messages call it. The scheme with an `s` behind it asks for TLS.
    package init(_ text: String, scheme: String, of broker: String) throws(BinderError) {
        self.broker = broker
        isTLS = text.hasPrefix("\(scheme)s://")
        guard isTLS || text.hasPrefix("\(scheme)://") else {
            throw BinderError(.invalid, "a \(broker) URI starts with \(scheme):// or \(scheme)s://")
        }
        let parts = text.dropFirst(scheme.count + (isTLS ? 4 : 3)).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        rest = parts[0]
        query = parts.count == 2 ? parts[1] : ""
    }

    /// What stands before the last `@`; the password is nil where there is no colon.
    package mutating func takeCredentials() throws(BinderError) -> (user: String, password: String?)? {
        guard let at = rest.lastIndex(of: "@") else { return nil }
        let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        rest = rest[rest.index(after: at)...]
        return (try decoded(parts[0], "user"), parts.count == 2 ? try decoded(parts[1], "password") : nil)
    }

    /// What stands behind the first slash, escapes and all; nil when that is nothing.
    package mutating func takePath() -> Substring? {
        guard let slash = rest.firstIndex(of: "/") else { return nil }
        let path = rest[rest.index(after: slash)...]
        rest = rest[..<slash]
        return path.isEmpty ? nil : path
    }

    /// What has not been taken off, read as addresses, with the port of those that name none. Hosts may be empty, and so may the list.
    package func addresses(port: Int) throws(BinderError) -> [Address] {
        var addresses: [Address] = []
        for text in rest.split(separator: ",") { addresses.append(try Self.address(text, standard: port)) }
        return addresses
    }

    /// The same, where no host means this machine.
    package func addresses(orLocal port: Int) throws(BinderError) -> [Address] {
        let named = try addresses(port: port).map { Address(host: $0.host.isEmpty ? "localhost" : $0.host, port: $0.port) }
        return named.isEmpty ? [Address(host: "localhost", port: port)] : named
    }

    private static func address(_ text: Substring, standard: Int) throws(BinderError) -> Address {
        var host = text
        var port = standard
        let close = text.hasPrefix("[") ? text.firstIndex(of: "]") : nil
        if let colon = text.lastIndex(of: ":"), close.map({ colon > $0 }) ?? true {
            guard let number = Int(text[text.index(after: colon)...]), (1...65535).contains(number) else {
                throw BinderError(.invalid, "\(text) is no host and port (1 to 65535)")
            }
            port = number
            host = text[..<colon]
        }
        if close != nil { host = host.dropFirst().prefix { $0 != "]" } }
        return Address(host: String(host), port: port)
    }

    /// Hands on the options in their order, until one is refused.
    package func forEachOption(_ body: (Option) throws(BinderError) -> Void) throws(BinderError) {
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            try body(Option(name: name, value: parts.count == 2 ? try decoded(parts[1], name) : "", broker: broker))
        }
    }

    /// Without its percent escapes; `what` is how a message calls it, for what it holds may be secret.
    package func decoded(_ text: Substring, _ what: String) throws(BinderError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst(), let low = rest.popFirst(),
                let number = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16), number != 0
            else { throw BinderError(.invalid, "the \(what) of the \(broker) URI has a % that is no escape") }
            bytes.append(number)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw BinderError(.invalid, "the \(what) of the \(broker) URI is not UTF-8")
        }
        return decoded
    }
}
