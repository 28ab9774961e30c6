import HTTPBinder
import HTTPClient
import KafkaBinder
import LocalBinder
import RabbitMQBinder
import RedisBinder
package import Settings
package import Streams
package import Telemetry

/// A broker by its URI: `amqp://user:password@host:port/vhost` (`amqps`), `kafka://user:password@host:port,host2:port2` (`kafkas`),
/// `redis://user:password@host:port/database` (`rediss`), `http://carillon:8888` (`https`), `local:` (memory) or `local:FOLDER`.
///
/// Options follow after `?`: those of Redis are in `RedisConfiguration.init(uri:)`, such as `rediss://host:6379/0?ca-file=/etc/redis/ca.pem`,
/// those of Kafka in `KafkaConfiguration.init(uri:)`, such as `kafkas://user:password@host:9093?sasl=SCRAM-SHA-512&cafile=/etc/kafka/ca.pem`.
package struct BinderURI: Sendable {
    private enum Kind: Sendable {
        case local(String)
        case rabbitMQ
        case redis
        case kafka
        case http
    }
    let text: String
    private let kind: Kind

    /// Throws for a scheme that no binder speaks, naming those that one does.
    package init(_ text: String) throws(SettingsError) {
        self.text = text
        switch text.prefix(while: { $0 != ":" }).lowercased() {
        case "local": kind = .local(String(text.drop { $0 != ":" }.dropFirst()))
        case "amqp", "amqps": kind = .rabbitMQ
        case "kafka", "kafkas": kind = .kafka
        case "http", "https": kind = .http
        case "redis", "rediss": kind = .redis
        default:
            throw SettingsError(
                message: "`binder` needs a URI such as amqp://user:password@host:5672/vhost, kafka://host:9092, redis://host:6379/0, "
                    + "http://host:8888 or local:FOLDER"
            )
        }
    }

    /// A name for the broker that lasts, made of its scheme, host and port (the first of several), without credentials: `amqp-host-5672`. Nil for
    /// the embedded broker, which nobody else can name.
    package var place: String? {
        if case .local = kind { return nil }
        let (scheme, rest) = (text.prefix { $0 != ":" }, text.drop { $0 != ":" }.dropFirst(3))
        let authority = rest.prefix { !"/?,".contains($0) }
        let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
        let plain = "\(scheme)-\(host)".lowercased().map { character in
            character.isASCII && (character.isLetter || character.isNumber || character == ".") ? character : "-"
        }
        return String(plain.prefix(60))
    }

    /// The binder, which connects when it runs. `token` and `authorityFile` are for `http`; `partitions` tells how many a destination has that is
    /// published to by key.
    package func binder(
        name: String = "carillon", token: String? = nil, authorityFile: String? = nil, partitions: [String: Int] = [:],
        tuning: BinderTuning = BinderTuning(), log: Log, metrics: Metrics = Metrics()
    ) throws -> any Binder {
        switch kind {
        case .local(let folder):
            return LocalBinder(
                storage: folder.isEmpty ? .memory : .folder(folder), limits: LocalLimits(tuning), log: log.of("broker"), metrics: metrics)
        case .rabbitMQ:
            var configuration = try RabbitMQConfiguration(uri: text)
            configuration.connectionName = name
            configuration.partitions = partitions
            try configuration.apply(tuning)
            return RabbitMQBinder(configuration: configuration, log: log.of("rabbitmq"), metrics: metrics)
        case .redis:
            var configuration = try RedisConfiguration(uri: text)
            if !text.contains("name=") { configuration.clientName = name }
            configuration.partitions = partitions
            try configuration.apply(tuning)
            return RedisBinder(configuration: configuration, log: log.of("redis"), metrics: metrics)
        case .kafka:
            var configuration = try KafkaConfiguration(uri: text)
            configuration.clientID = name
            configuration.partitions = partitions
            configuration.apply(tuning)
            return KafkaBinder(configuration: configuration, log: log.of("kafka"), metrics: metrics)
        case .http:
            var configuration = HTTPBinderConfiguration(url: text)
            configuration.token = { token }
            configuration.client.tls.authorityFile = authorityFile
            try configuration.apply(tuning)
            return HTTPBinder(configuration: configuration, log: log.of("channels"))
        }
    }
}
