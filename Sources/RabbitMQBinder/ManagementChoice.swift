internal import HTTP

/// Where the management API of a broker is looked for.
package enum ManagementChoice: Sendable, Hashable {
    /// On the broker's host, by its own credentials, on the port that it has by default: 15672, with TLS 15671.
    case standard
    case url(String)
    case none

    /// Takes the option `management` (a URL, or `none`) out of a RabbitMQ URI: the rest is for AMQP.
    package static func separated(from uri: String) -> (uri: String, choice: ManagementChoice) {
        guard let mark = uri.firstIndex(of: "?") else { return (uri, .standard) }
        var choice = ManagementChoice.standard
        let rest = uri[uri.index(after: mark)...].split(separator: "&").filter { pair in
            guard pair.hasPrefix("management=") else { return true }
            let value = PercentEncoding.decode(pair.dropFirst(11))
            choice = value == "none" ? .none : .url(value)
            return false
        }
        return (String(uri[..<mark]) + (rest.isEmpty ? "" : "?" + rest.joined(separator: "&")), choice)
    }

    func url(_ configuration: RabbitMQConfiguration) -> String? {
        switch self {
        case .none: return nil
        case .url(let url): return url
        case .standard:
            guard let host = configuration.addresses.first?.host else { return nil }
            let shown = host.contains(":") ? "[\(host)]" : host
            return configuration.tls == nil ? "http://\(shown):15672" : "https://\(shown):15671"
        }
    }
}
