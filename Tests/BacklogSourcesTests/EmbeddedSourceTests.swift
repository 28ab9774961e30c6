import Autoscaler
import BacklogSources
import BinderConformance
import Channels
import HTTP
import HTTPBinder
import Lifecycle
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct EmbeddedSourceTests {
    @Test(arguments: [false, true])
    func `the numbers are exact: waiting, in hand, delayed, what came and what is done`(durable: Bool) async throws {
        try await withTemporaryFolder { folder in
            let binder = LocalBinder(storage: durable ? .folder(folder) : .memory)
            try await beside(binder) {
                let orders = try queue("orders")
                let source = BrokerSource(name: "the embedded broker", binder)
                let missing = await source.read([orders], within: .seconds(60))[orders]
                #expect(missing?.reading == .unknown)
                #expect(missing?.problem?.contains("prepare") == true)
                try await binder.prepare(group: orders.group, of: orders.destination)
                let empty = try #require(await source.read([orders], within: .seconds(60))[orders])
                #expect(empty.reading.backlog.value == 0 && empty.reading.published.value == 0 && empty.members == 0)
                for number in 0..<10 { _ = try await binder.publish(Envelope(text: "\(number)"), to: orders.destination) }
                try await binder.withSubscription(to: orders.destination, group: orders.group, options: SubscriptionOptions(prefetch: 4)) {
                    deliveries in
                    try await deliveries.next()?.accept()
                    try await deliveries.next()?.reject(FailureReason(message: "no"))
                    try await deliveries.next()?.retry(after: .seconds(600))
                    let held = try await deliveries.next()?.take()
                    let report = try #require(await source.read([orders], within: .seconds(60))[orders])
                    #expect(report.reading.backlog.value == 8)
                    #expect(report.reading.published.value == 10)
                    #expect(report.reading.acknowledged.value == 2)
                    #expect(report.reading.oldest.value ?? -1 >= 0)
                    #expect(report.reading.partitions.value == nil)
                    #expect(report.members == 1 && report.problem == nil && report.note == nil && report.stuck.isEmpty)
                    held?.settlement.release()
                }
            }
        }
    }

    @Test(arguments: [false, true])
    func `something that arrives where there was nothing is told at once, and only then`(durable: Bool) async throws {
        try await withTemporaryFolder { folder in
            let binder = LocalBinder(storage: durable ? .folder(folder) : .memory)
            try await beside(binder) {
                let (orders, pay, other) = (try queue("orders"), try queue("pay"), try queue("other"))
                for one in [orders, pay, other] { try await binder.prepare(group: one.group, of: one.destination) }
                _ = try await binder.publish(Envelope(text: "before"), to: pay.destination)
                let hints = Recorded<DestinationGroup>()
                let source = BrokerSource(name: "the embedded broker", binder)
                let watching = Task { await source.watch([orders, pay]) { hints.add($0) } }
                // What has something to do already is told at the begin; then the watch stands.
                try await eventually(within: .seconds(60)) { hints.all == [pay] }
                for _ in 0..<3 { _ = try await binder.publish(Envelope(text: "x"), to: orders.destination) }
                _ = try await binder.publish(Envelope(text: "x"), to: other.destination)
                _ = try await binder.publish(Envelope(text: "x"), to: pay.destination)
                try await eventually(within: .seconds(60)) { hints.all == [pay, orders] }
                try await binder.withSubscription(to: orders.destination, group: orders.group, options: SubscriptionOptions()) {
                    deliveries in
                    for _ in 0..<2 { try await deliveries.next()?.accept() }
                    try await deliveries.next()?.reject(FailureReason(message: "no"))
                }
                _ = try await binder.publish(Envelope(text: "again"), to: orders.destination)
                try await eventually(within: .seconds(60)) { hints.all == [pay, orders, orders] }
                try await binder.withSubscription(to: orders.destination, group: orders.group, options: SubscriptionOptions()) {
                    deliveries in
                    try await deliveries.next()?.accept()
                }
                // A dead letter that is replayed arrives, too.
                #expect(try await binder.replay(nil, of: orders.destination, group: orders.group) == 1)
                try await eventually(within: .seconds(60)) { hints.all == [pay, orders, orders, orders] }
                watching.cancel()
                await watching.value
                try await binder.withSubscription(to: orders.destination, group: orders.group, options: SubscriptionOptions()) {
                    deliveries in
                    try await deliveries.next()?.accept()
                }
                _ = try await binder.publish(Envelope(text: "nobody watches"), to: orders.destination)
                #expect(hints.all.count == 4)
            }
        }
    }

    @Test func `another Carillon tells of many groups by few requests, and says what it does not know`() async throws {
        let binder = LocalBinder()
        let channels = Channels(binder: binder)
        try await TestHTTPServer.with(channels.router) { server in
            var queues: Set<DestinationGroup> = []
            for number in 0..<200 {
                let one = try queue("orders-\(number)", "wörk=&+ers")
                queues.insert(one)
                try await binder.prepare(group: one.group, of: one.destination)
                _ = try await binder.publish(Envelope(text: "x"), to: one.destination)
            }
            let missing = try queue("missing")
            let source = BrokerSource(
                name: "carillon", HTTPBinder(configuration: HTTPBinderConfiguration(url: server.url)))
            let reports = await source.read(queues.union([missing]), within: .seconds(60))
            #expect(reports.count == 201)
            for one in queues {
                #expect(reports[one]?.reading.backlog.value == 1, "\(reports[one]?.problem ?? "")")
                #expect(reports[one]?.reading.published.value == 1)
            }
            #expect(reports[missing]?.reading == .unknown)
            #expect(reports[missing]?.problem?.contains("missing") == true)
            for query in ["orders", "orders/workers/x", "a%20b/workers", "/workers"] {
                let request = try #require(HTTPRequest("GET", "/channels?backlog=\(query)"))
                #expect(await channels.router.respond(to: request).status == 400, "\(query)")
            }
        }
    }

    @Test func `a server that knows only single questions is asked them, and one that is away is unknown`() async throws {
        let pages = FakePages()
        pages.put("/channels", #"{"push":[]}"#)
        pages.put("/channels/orders/groups/workers", #"{"ready":3,"inHand":1,"oldestAge":2.5}"#)
        pages.put("/channels/pay/groups/workers", #"{"ready":-3}"#)
        pages.put("/channels/odd/groups/workers", #"{"inHand":1}"#)
        let (orders, pay, odd) = (try queue("orders"), try queue("pay"), try queue("odd"))
        let server = try await TestHTTPServer.start(pages, port: freePort())
        let source = BrokerSource(name: "carillon", HTTPBinder(configuration: HTTPBinderConfiguration(url: server.url)))
        let reports = await source.read([orders, pay, odd], within: .seconds(60))
        #expect(reports[orders]?.reading.backlog.value == 4)
        #expect(reports[orders]?.reading.oldest.value == 2.5)
        #expect(reports[pay]?.reading == .unknown)
        #expect(reports[odd]?.reading == .unknown)
        try await server.stop()
        let gone = await source.read([orders], within: .seconds(60))[orders]
        #expect(gone?.reading == .unknown && gone?.problem != nil)
    }
}
