internal import HTTP
internal import HTTPClient
internal import JSON
internal import Streams

/// RabbitMQ's management API: all queues of a virtual host by one request.
struct RabbitMQManagement: Sendable {
    /// What it says of one queue. Nil: it does not tell.
    struct Queue: Sendable {
        var ready: Int?
        var unacknowledged: Int?
        var consumers: Int?
        var published: Int?
        var acknowledged: Int?
        /// When the message at the head was published, where publishers say so; seconds since 1970.
        var headTime: Int64?
    }

    /// Why there is no answer, with the remedy.
    struct Problem: Error, Sendable {
        var text: String
    }

    private let url: String
    private let client: HTTPClient
    private let credentials: HTTPClientRequest.Credentials
    private let virtualHost: String
    /// So many bytes of an answer are taken: some ten thousand queues have two million.
    private static let answerLimit = 64 << 20

    init(url: String, _ configuration: RabbitMQConfiguration) {
        self.url = url.hasSuffix("/") ? String(url.dropLast()) : url
        virtualHost = configuration.virtualHost
        credentials = HTTPClientRequest.Credentials(user: configuration.user, password: configuration.password)
        var settings = HTTPClientConfiguration()
        // Shorter than a poll: where the port is silent, AMQP must still be asked in time.
        settings.totalLimit = .seconds(3)
        settings.connectLimit = .seconds(2)
        if let tls = configuration.tls {
            settings.tls.authorityFile = tls.authorities
            settings.tls.certificateFile = tls.certificate
            settings.tls.keyFile = tls.key
            settings.tls.verifiesPeer = tls.verifiesPeer
        }
        client = HTTPClient(settings)
    }

    /// For people: without credentials.
    var name: String { HTTPClientRequest.shown(url) }

    func queues() async throws(Problem) -> [String: Queue] {
        let columns = [
            "name", "messages_ready", "messages_unacknowledged", "consumers", "head_message_timestamp", "message_stats.publish",
            "message_stats.ack",
        ]
        let answer = try await get("/api/queues/\(PercentEncoding.encode(virtualHost))?columns=\(columns.joined(separator: ","))")
        guard case .array(let items) = answer else { throw Problem(text: "\(name) answered with something else than a list of queues") }
        var queues: [String: Queue] = [:]
        queues.reserveCapacity(items.count)
        for item in items {
            guard let name = item["name"]?.string else { continue }
            let statistics = item["message_stats"]
            queues[name] = Queue(
                ready: Self.count(item["messages_ready"]), unacknowledged: Self.count(item["messages_unacknowledged"]),
                consumers: Self.count(item["consumers"]), published: Self.count(statistics?["publish"]),
                acknowledged: Self.count(statistics?["ack"]), headTime: item["head_message_timestamp"]?.integer)
        }
        return queues
    }

    /// Whether it counts what is published and acknowledged: then a queue without such a number never had any.
    func counts() async throws(Problem) -> Bool {
        guard let mode = try await get("/api/overview?columns=rates_mode")["rates_mode"]?.string else { return false }
        return mode != "none"
    }

    /// A whole number from 0 on; all else is unknown.
    private static func count(_ value: JSONValue?) -> Int? {
        guard case .number(let digits)? = value, let number = Int(digits), number >= 0 else { return nil }
        return number
    }

    private func get(_ path: String) async throws(Problem) -> JSONValue {
        let response: HTTPClientResponse
        do {
            response = try await client.send(
                HTTPClientRequest(
                    "GET", url + path, headers: ["Accept": "application/json"], credentials: credentials, responseLimit: Self.answerLimit))
        } catch { throw Problem(text: "the management API does not answer: \(error.message)") }
        switch response.status {
        case 200: break
        case 401, 403:
            throw Problem(text: "the management API at \(name) refuses the user `\(credentials.user)`, who needs the tag `management`")
        case 404: throw Problem(text: "\(name) is no management API, or has no virtual host `\(virtualHost)`")
        default: throw Problem(text: "the management API at \(name) answered \(response.status)")
        }
        do { return try JSONReader.read(response.body) } catch {
            throw Problem(text: "\(name) answered with something else than JSON: \(error)")
        }
    }
}
