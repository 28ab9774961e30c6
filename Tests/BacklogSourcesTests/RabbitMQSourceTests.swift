import Autoscaler
import BacklogSources
import BinderConformance
import Lifecycle
import RabbitMQBinder
import Streams
import TestSupport
import Testing

@Suite(.enabled(if: RabbitMQServer.isInstalled, .init(rawValue: RabbitMQServer.whyNot)))
struct RabbitMQSourceTests {
    private func source(
        _ server: RabbitMQServer, host: String = "%2F", name: String = "carillon-scaling", management: String
    ) throws -> (BrokerSource, RabbitMQInquiry) {
        let uri = "\(server.uri.dropLast(3))\(host)?management=\(management)"
        var configuration = try RabbitMQConfiguration(uri: uri)
        configuration.connectionName = name
        let inquiry = RabbitMQInquiry(configuration: configuration)
        return (BrokerSource(name: "rabbitmq", inquiry), inquiry)
    }

    private func withManagement(_ body: (RabbitMQServer, _ management: Int) async throws -> Void) async throws {
        let port = freePort()
        let lines = ["management.tcp.ip = 127.0.0.1", "management.tcp.port = \(port)", "collect_statistics_interval = 500"]
        try await RabbitMQServer.with(configuration: lines.joined(separator: "\n") + "\n", plugins: ["rabbitmq_management"]) { server in
            try await body(server, port)
        }
    }

    @Test func `a URI names the management API, or none`() throws {
        #expect(try RabbitMQConfiguration(uri: "amqp://h/v").management == .standard)
        #expect(try RabbitMQConfiguration(uri: "amqp://h/v?management=https%3A%2F%2Fm%3A1&heartbeat=5").management == .url("https://m:1"))
        #expect(try RabbitMQConfiguration(uri: "amqp://h?management=none").management == .none)
        #expect(throws: BinderError.self) { try RabbitMQConfiguration(uri: "amqp://h?management=15672") }
    }

    @Test func `by the management API all queues are one request, with what is in hand, what came and what is done`() async throws {
        try await withManagement { server, port in
            let proxy = try CountingProxy(to: port)
            let binder = RabbitMQBinder(configuration: try RabbitMQConfiguration(uri: server.uri))
            let (source, inquiry) = try source(server, management: "http://127.0.0.1:\(proxy.port)")
            try await beside(binder) {
                try await beside(inquiry) {
                    let orders = try queue("orders")
                    var queues: Set<DestinationGroup> = [orders]
                    for number in 0..<30 { queues.insert(try queue("many-\(number)")) }
                    for one in queues { try await binder.prepare(group: one.group, of: one.destination) }
                    for number in 0..<10 { _ = try await binder.publish(Envelope(text: "\(number)"), to: orders.destination) }
                    try await binder.withSubscription(
                        to: orders.destination, group: orders.group, options: SubscriptionOptions(prefetch: 3)
                    ) { deliveries in
                        try await deliveries.next()?.accept()
                        try await deliveries.next()?.retry(after: .seconds(600))
                        let held = try await deliveries.next()?.take()
                        try await eventually(within: .seconds(120), "the numbers of orders") {
                            let report = await source.read(queues, within: .seconds(10))[orders]
                            guard let reading = report?.reading else { return false }
                            return reading.backlog.value == 9 && reading.published.value == 10 && reading.acknowledged.value == 2
                                && report?.members == 1
                        }
                        held?.settlement.release()
                    }
                    let missing = try queue("missing")
                    try await eventually(within: .seconds(120), "numbers of all") {
                        let reports = await source.read(queues, within: .seconds(10))
                        return queues.allSatisfy {
                            reports[$0]?.reading.backlog.value != nil && reports[$0]?.reading.published.value != nil
                        }
                    }
                    let before = proxy.requestLines
                    let reports = await source.read(queues.union([missing]), within: .seconds(60))
                    #expect(reports[missing]?.reading == .unknown && reports[missing]?.problem?.contains("missing.workers") == true)
                    #expect(reports[try queue("many-3")]?.note == nil)
                    #expect(proxy.requestLines.count == before.count + 1)
                    #expect(proxy.requestLines.filter { $0.contains("overview") }.count == 1)
                    // No AMQP connection but those of the binder that works.
                    let names = try await server.control("list_connections", "client_properties")
                    #expect(!names.contains("carillon-scaling"))
                }
            }
        }
    }

    @Test func `without the management API queues are declared passively on one connection, and what is missing is said`() async throws {
        let server = try await RabbitMQServer.shared()
        let binder = RabbitMQBinder(configuration: try RabbitMQConfiguration(uri: server.uri))
        let run = Identifier.random().prefix(8)
        let (source, inquiry) = try source(
            server, name: "asks-\(run)", management: "http%3A%2F%2F127.0.0.1%3A\(freePort())")
        try await beside(binder) {
            try await beside(inquiry) {
                let (orders, missing) = (try queue("orders-\(run)"), try queue("missing-\(run)"))
                var queues: Set<DestinationGroup> = [orders]
                for number in 0..<20 { queues.insert(try queue("many-\(run)-\(number)")) }
                for one in queues { try await binder.prepare(group: one.group, of: one.destination) }
                for number in 0..<5 { _ = try await binder.publish(Envelope(text: "\(number)"), to: orders.destination) }
                for _ in 0..<3 {
                    let reports = await source.read(queues.union([missing]), within: .seconds(60))
                    #expect(reports[orders]?.reading.backlog.value == 5)
                    #expect(reports[orders]?.reading.published.value == nil)
                    #expect(reports[orders]?.members == 0)
                    let note = reports[orders]?.note ?? ""
                    #expect(note.contains("in hand") && note.contains("management API does not answer"), "\(note)")
                    #expect(reports[missing]?.reading == .unknown && reports[missing]?.problem?.contains("no group") == true)
                    #expect(queues.allSatisfy { reports[$0]?.reading.backlog.value != nil })
                }
                let connections = try await server.control("list_connections", "client_properties")
                #expect(connections.split(separator: "\n").filter { $0.contains("asks-\(run)") }.count == 1, "\(connections)")
            }
        }
    }

    @Test(arguments: [
        (500, "oops", "answered 500"), (401, #"{"error":"not_authorised"}"#, "tag `management`"), (404, "", "no management API"),
        (200, "<html>", "JSON"), (200, #"{"items":[]}"#, "list of queues"),
    ])
    func `a management API that errs leaves AMQP to answer, and is not asked again at once`(status: Int, body: String, reason: String)
        async throws
    {
        let server = try await RabbitMQServer.shared()
        let pages = FakePages()
        let host = "shop-\(Identifier.random().prefix(8))"
        try await server.control("add_vhost", host)
        try await server.control("set_permissions", "-p", host, "guest", ".*", ".*", ".*")
        pages.put("/api/overview", #"{"rates_mode":"basic"}"#)
        pages.put("/api/queues/\(host)", body, status: status)
        try await TestHTTPServer.with(pages) { web in
            let orders = try queue("orders-\(Identifier.random().prefix(8))")
            let (source, inquiry) = try source(server, host: host, management: web.url)
            try await beside(inquiry) {
                let binder = RabbitMQBinder(configuration: try RabbitMQConfiguration(uri: "\(server.uri.dropLast(3))\(host)"))
                try await beside(binder) { try await binder.prepare(group: orders.group, of: orders.destination) }
                let report = await source.read([orders], within: .seconds(60))[orders]
                #expect(report?.reading.backlog.value == 0)
                #expect(report?.note?.contains(reason) == true, "\(report?.note ?? "")")
                let asked = pages.requests.count
                _ = await source.read([orders], within: .seconds(60))
                #expect(pages.requests.count == asked)
            }
        }
    }

    @Test func `numbers that are missing, negative or none are unknown`() async throws {
        let server = try await RabbitMQServer.shared()
        let pages = FakePages()
        let rows = [
            #"{"name":"new.workers"}"#, #"{"name":"half.workers","messages_ready":3}"#,
            #"{"name":"negative.workers","messages_ready":-3,"messages_unacknowledged":0}"#,
            #"{"name":"null.workers","messages_ready":null,"messages_unacknowledged":0}"#,
            #"{"name":"text.workers","messages_ready":"many","messages_unacknowledged":0}"#,
            #"{"name":"retry.workers","messages_ready":1,"messages_unacknowledged":0}"#, #"{"name":"retry.workers.retry.1000"}"#,
            #"{"name":"good.workers","messages_ready":2,"messages_unacknowledged":1,"consumers":4,"head_message_timestamp":1700000000}"#,
            #"{"name":"good.workers.retry.1000","messages_ready":5}"#, #"{"name":"good.workers.retry.2000","messages_ready":6}"#,
            #"{"name":"split.workers-0","messages_ready":1,"messages_unacknowledged":0,"message_stats":{"publish":10,"ack":7}}"#,
            #"{"name":"split.workers-1","messages_ready":2,"messages_unacknowledged":0,"message_stats":{"publish":20,"ack":8}}"#,
        ]
        pages.put("/api/queues/shop", "[" + rows.joined(separator: ",") + "]")
        for (mode, published) in [("basic", 0.0 as Double?), ("none", nil)] {
            pages.put("/api/overview", #"{"rates_mode":"\#(mode)"}"#)
            try await TestHTTPServer.with(pages) { web in
                let (source, _) = try source(server, host: "shop", management: web.url)
                let unknown = Set(try ["new", "half", "negative", "null", "text", "retry", "missing"].map { try queue($0) })
                let (good, split) = (try queue("good"), try queue("split"))
                let reports = await source.read(unknown.union([good, split]), within: .seconds(60))
                for one in unknown { #expect(reports[one]?.reading == .unknown && reports[one]?.problem != nil, "\(one)") }
                let report = try #require(reports[good])
                #expect(report.reading.backlog.value == 14 && report.members == 4)
                #expect(report.reading.oldest.value ?? 0 > 1000)
                #expect(report.reading.published.value == published)
                #expect((report.note == nil) == (published != nil))
                #expect(reports[split]?.reading.backlog.value == 3 && reports[split]?.reading.partitions.value == 2)
                #expect(reports[split]?.reading.published.value == 30 && reports[split]?.reading.acknowledged.value == 15)
            }
        }
    }
}
