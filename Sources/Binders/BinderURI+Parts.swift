import RabbitMQBinder
import RedisBinder

extension BinderURI {
    /// The scheme in lower case, without the letter for TLS: `amqp`, `redis`, `kafka`, `http`, `local`.
    package var scheme: String {
        let scheme = text.prefix { $0 != ":" }.lowercased()
        return scheme.count > 4 && scheme.hasSuffix("s") && scheme != "redis" ? String(scheme.dropLast()) : scheme
    }

    /// Whether the broker lives in the binder.
    package var isEmbedded: Bool { scheme == "local" }

    /// Where the embedded broker keeps its events; nil for others, and in memory.
    package var folder: String? {
        let path = text.drop { $0 != ":" }.dropFirst()
        return isEmbedded && !path.isEmpty ? String(path) : nil
    }

    /// Whether the URI holds a password, which a broker can be shown a wrong one instead of. RabbitMQ always asks for one.
    package var hasPassword: Bool {
        switch scheme {
        case "amqp": (try? RabbitMQConfiguration(uri: text)).map { !($0.user.isEmpty && $0.tls?.certificate != nil) } ?? false
        case "redis": (try? RedisConfiguration(uri: text))?.password != nil
        default: text.contains("@")
        }
    }
}
