import HTTPBinder
import HTTPClient
import LocalBinder
import RabbitMQBinder
package import Settings
package import Streams
package import Telemetry

/// A broker by its URI: `amqp://user:password@host:port/vhost` (`amqps`), `http://carillon:8888` (`https`), `local:` (memory) or `local:FOLDER`.
package struct BinderURI: Sendable {
    private enum Kind: Sendable {
        case local(String)
        case rabbitMQ
        case http
    }
    private let text: String
    private let kind: Kind

    /// Throws for a scheme that no binder speaks, naming those that one does.
    package init(_ text: String) throws(SettingsError) {
        self.text = text
        switch text.prefix(while: { $0 != ":" }).lowercased() {
        case "local": kind = .local(String(text.drop { $0 != ":" }.dropFirst()))
        case "amqp", "amqps": kind = .rabbitMQ
        case "http", "https": kind = .http
        case "kafka", "redis", "rediss", "kafkas":
            throw SettingsError(message: "this version has no binder for \(text.prefix { $0 != ":" }): use amqp://, http:// or local:")
        default:
            throw SettingsError(
                message: "`binder` needs a URI such as amqp://user:password@host:5672/vhost, http://host:8888 or local:FOLDER")
        }
    }

    /// The binder, which connects when it runs. `token` and `authorityFile` are for `http`.
    package func binder(
        name: String = "carillon", token: String? = nil, authorityFile: String? = nil, log: Log, metrics: Metrics = Metrics()
    ) throws -> any Binder {
        switch kind {
        case .local(let folder):
            return LocalBinder(storage: folder.isEmpty ? .memory : .folder(folder), log: log.of("broker"), metrics: metrics)
        case .rabbitMQ:
            var configuration = try RabbitMQConfiguration(uri: text)
            configuration.connectionName = name
            return RabbitMQBinder(configuration: configuration, log: log.of("rabbitmq"), metrics: metrics)
        case .http:
            var configuration = HTTPBinderConfiguration(url: text)
            configuration.token = { token }
            configuration.client.tls.authorityFile = authorityFile
            return HTTPBinder(configuration: configuration, log: log.of("channels"))
        }
    }
}
