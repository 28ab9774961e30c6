import Streams

/// Where the management API of a broker is looked for.
package enum ManagementChoice: Sendable, Hashable {
    /// On the broker's host, by its own credentials, on the port that it has by default: 15672, with TLS 15671.
    case standard
    case url(String)
    case none

    /// Reads the option of a URI: a URL, or `none`.
    init(option: String) throws(BinderError) {
        switch option {
        case "none": self = .none
        case _ where option.hasPrefix("http://") || option.hasPrefix("https://"): self = .url(option)
        default: throw BinderError(.invalid, "management of a RabbitMQ URI is a URL such as http://host:15672, or none")
        }
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
