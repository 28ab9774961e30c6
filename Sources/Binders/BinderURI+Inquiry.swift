import HTTPBinder
import HTTPClient
import KafkaBinder
package import Lifecycle
import LocalBinder
import RabbitMQBinder
import RedisBinder
package import Streams
package import Telemetry

extension BinderURI {
    /// For people: `rabbitmq at broker:5672`, without credentials; of several hosts the first.
    package var shown: String {
        let names = ["amqp": "rabbitmq", "http": "carillon"]
        guard !isEmbedded else { return "the embedded broker" }
        var authority = text.drop { $0 != ":" }.dropFirst(3).prefix { !"/?".contains($0) }
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        return "\(names[scheme] ?? scheme) at \(authority.prefix { $0 != "," })"
    }

    /// Asks the broker of backlogs and does nothing else there, over one connection that stands while it runs. Throws for the embedded broker, which
    /// only its own process can ask. `partitions` tells how many a destination has; Redis, where each is a stream, cannot tell by itself.
    package func inquiry(
        name: String = "carillon-scaling", token: String? = nil, authorityFile: String? = nil, partitions: [String: Int] = [:], log: Log
    ) throws -> any BacklogReporting & Service {
        switch scheme {
        case "amqp":
            var configuration = try RabbitMQConfiguration(uri: text)
            configuration.connectionName = name
            return RabbitMQInquiry(configuration: configuration)
        case "kafka":
            var configuration = try KafkaConfiguration(uri: text)
            configuration.clientID = name
            return KafkaInquiry(configuration: configuration)
        case "redis":
            var configuration = try RedisConfiguration(uri: text)
            if !text.contains("name=") { configuration.clientName = name }
            configuration.partitions = partitions
            return RedisBinder(configuration: configuration, log: log.of("redis"))
        case "http":
            var configuration = HTTPBinderConfiguration(url: text)
            configuration.token = { token }
            configuration.client.tls.authorityFile = authorityFile
            return HTTPInquiry(configuration: configuration)
        default:
            throw BinderError(
                .invalid, "the embedded broker lives in its server: leave `source` out there, or name the server, such as http://host:8888")
        }
    }
}
