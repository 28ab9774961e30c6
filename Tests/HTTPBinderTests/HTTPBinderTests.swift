import Channels
import HTTP
import HTTPBinder
import Lifecycle
import LocalBinder
import Locking
import Streams
import TestSupport
import Testing

/// A server with the embedded broker in a folder, which can be stopped and started again on its port.
private actor ChannelServer {
    private let folder: String
    private var server: TestHTTPServer?
    private var stop: (@Sendable () async throws -> Void)?
    let port = freePort()

    init(folder: String) { self.folder = folder }

    func start() async throws {
        let binder = LocalBinder(storage: .folder(folder))
        let channels = Channels(binder: binder)
        let group = ServiceGroup([binder, channels])
        let shutdown = ShutdownSignal()
        let started = ShutdownSignal()
        let running = Task { try await group.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() })) }
        await started.wait()
        let server = try await TestHTTPServer.start(channels.router, port: port)
        self.server = server
        stop = {
            try await server.stop()
            shutdown.request()
            try await running.value
        }
    }

    func end() async throws {
        try await stop?()
        stop = nil
    }

    /// Runs `body` with a server, and ends it afterwards.
    static func with<R: Sendable>(_ body: @escaping @Sendable (ChannelServer) async throws -> R) async throws -> R {
        try await withTemporaryFolder { folder in
            let server = ChannelServer(folder: folder)
            try await server.start()
            let result: Result<R, any Error>
            do { result = .success(try await body(server)) } catch { result = .failure(error) }
            try await server.end()
            return try result.get()
        }
    }

    func binder(lease: Duration = .seconds(30)) -> HTTPBinder { HTTPBinder(configuration: configuration(lease: lease)) }

    func configuration(lease: Duration = .seconds(30)) -> HTTPBinderConfiguration {
        HTTPBinderConfiguration(
            url: "http://127.0.0.1:\(port)/", lease: lease, firstPause: .milliseconds(20), longestPause: .milliseconds(200))
    }
}

@Suite struct HTTPBinderTests {
    @Test func `a server that is restarted in the middle loses nothing confirmed, and its subscribers go on`() async throws {
        try await ChannelServer.with { server in
            let destination = try Destination("d")
            let group = try ConsumerGroup("g")
            let binder = await server.binder()
            let confirmed = Locked<Set<String>>([])
            let sent = TextSet(confirmed)
            let broadcast = Collector()
            let grouped = Collector()
            let events = EventCollector()
            try await BinderBench.withBinder(binder) { binder in
                try await binder.prepare(group: group, of: destination)
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    let ready = Counter()
                    tasks.addTask {
                        let options = SubscriptionOptions { event in
                            events.add(event)
                            if event == .ready { ready.add() }
                        }
                        try await Self.collect(binder, destination, nil, options, into: broadcast)
                    }
                    tasks.addTask {
                        let options = SubscriptionOptions { if $0 == .ready { ready.add() } }
                        try await Self.collect(binder, destination, group, options, into: grouped)
                    }
                    try await eventually(within: .seconds(30), "both subscriptions") { ready.value == 2 }
                    try await withThrowingTaskGroup(of: Void.self) { publishers in
                        for publisher in 0..<4 {
                            publishers.addTask {
                                for number in 0..<50 {
                                    let text = "\(publisher)-\(number)"
                                    // What was not confirmed is sent again, as a publisher does that wants it to arrive.
                                    while (try? await binder.publish(Envelope(text: text), to: destination)) == nil { await Task.yield() }
                                    sent.add(text)
                                }
                            }
                        }
                        try await eventually(within: .seconds(20), "the first events") { sent.count >= 30 }
                        try await server.end()
                        try await server.start()
                        try await eventually(within: .seconds(20), "more events") { sent.count >= 100 }
                        try await server.end()
                        try await server.start()
                        try await publishers.waitForAll()
                    }
                    try await eventually(within: .seconds(30), "everything confirmed at both subscribers") {
                        sent.all.isSubset(of: Set(broadcast.texts)) && sent.all.isSubset(of: Set(grouped.texts))
                    }
                    tasks.cancelAll()
                    try await tasks.waitForAll()
                }
            }
            #expect(sent.count == 200)
            #expect(events.all.first == .ready && events.all.contains(.resumed) && !events.all.contains(.gap))
        }
    }

    private static func collect(
        _ binder: HTTPBinder, _ destination: Destination, _ group: ConsumerGroup?, _ options: SubscriptionOptions, into collector: Collector
    ) async throws {
        do {
            try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                while let delivery = try await deliveries.next() {
                    collector.add(Seen(envelope: delivery.envelope, attempt: delivery.attempt))
                    // A server that is away cannot be told: it delivers again.
                    do { try await delivery.accept() } catch let error as BinderError where error.code != .cancelled {}
                }
            }
        } catch let error as BinderError where error.code == .cancelled {}
    }

    @Test func `a lease is kept while a handler runs longer than it`() async throws {
        try await ChannelServer.with { server in
            let destination = try Destination("d")
            let group = try ConsumerGroup("g")
            let binder = await server.binder(lease: .seconds(2))
            try await BinderBench.withBinder(binder) { binder in
                try await binder.prepare(group: group, of: destination)
                for text in ["a", "b"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 3)) { deliveries in
                    for text in ["a", "b"] {
                        let delivery = try #require(try await deliveries.next()?.take())
                        #expect(delivery.envelope.payload == Array(text.utf8) && delivery.attempt == 1)
                        try await Task.sleep(for: .seconds(3))  // how long the handler takes
                        try await delivery.settlement.settle(.accept)
                    }
                }
                let backlog = try await binder.backlog(of: destination, group: group)
                #expect(backlog.total == 0)
            }
        }
    }

    @Test func `dead letters are chosen, looked at, replayed and dropped through the server`() async throws {
        try await ChannelServer.with { server in
            let destination = try Destination("d")
            let group = try ConsumerGroup("g")
            let binder = await server.binder()
            try await BinderBench.withBinder(binder) { binder in
                try await binder.prepare(group: group, of: destination)
                for text in ["a", "b", "c"] {
                    let event = Envelope(text: text, headers: ["kind": .string(text), "n": 1, "raw": .bytes([1])])
                    _ = try await binder.publish(event, to: destination)
                }
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                    for _ in 0..<3 { try await deliveries.next()?.reject(FailureReason(message: "no", kind: "Bad")) }
                }
                let position = try await binder.latestPosition(of: destination)
                #expect(position != nil)
                let groups = try await binder.groupsWithDeadLetters()
                #expect(groups == [DeadLetterGroup(destination: destination, group: group, count: 3)])
                let chosen = DeadLetterFilter(headers: [.init(name: "kind", value: "b")], since: 0, until: .max)
                let page = try await binder.deadLetters(of: destination, group: group, matching: chosen, limit: 10)
                let letter = try #require(page.letters.first)
                #expect(page.letters.count == 1 && !page.hasMore && letter.reason == FailureReason(message: "no", kind: "Bad"))
                #expect(letter.envelope.headers == ["kind": "b", "n": 1, "raw": .bytes([1])])
                let same = try await binder.deadLetter(letter.id, of: destination, group: group)
                #expect(same == letter)
                let none = try await binder.deadLetter("999", of: destination, group: group)
                #expect(none == nil)
                let first = try await binder.deadLetters(of: destination, group: group, matching: DeadLetterFilter(), limit: 1)
                #expect(first.letters.count == 1 && first.hasMore)
                let dropped = try await binder.act(.drop, matching: chosen, of: destination, group: group)
                let replayed = try await binder.act(.replay, matching: DeadLetterFilter(), of: destination, group: group)
                #expect(dropped.count == 1 && replayed.count == 2)
            }
        }
    }

    @Test func `what the server's broker cannot do is told as that, not as a server that is away`() async throws {
        try await TestHTTPServer.with(Channels(binder: MemoryBinder()).router) { server in
            let binder = HTTPBinder(configuration: HTTPBinderConfiguration(url: server.url))
            let destination = try Destination("d")
            await #expect { _ = try await binder.deadLetters(of: destination, group: try ConsumerGroup("g"), limit: 1) } throws: {
                ($0 as? BinderError)?.code == .unsupported
            }
            await #expect { _ = try await binder.groupsWithDeadLetters() } throws: { ($0 as? BinderError)?.code == .unsupported }
            let position = try await binder.latestPosition(of: destination)
            #expect(position == nil)
        }
    }

    @Test func `a server that is absent is waited for, and readiness tells`() async throws {
        let gone = try await ChannelServer.with { await $0.configuration() }
        let binder = HTTPBinder(configuration: gone)
        try await BinderBench.withBinder(binder) { binder in
            #expect(!binder.readiness.isReady)
            var impatient = gone
            impatient.publishLimit = .milliseconds(200)
            let quick = HTTPBinder(configuration: impatient)
            await #expect { _ = try await quick.publish(Envelope(text: "x"), to: try Destination("d")) } throws: {
                ($0 as? BinderError)?.code == .unreachable
            }
            await #expect {
                try await within(.milliseconds(300), "a subscription") {
                    try await binder.withSubscription(to: try Destination("d"), group: nil, options: SubscriptionOptions()) { _ in }
                }
            } throws: { $0 is NotInTime }
        }
    }

    @Test func `a token is sent, and who has none is told so`() async throws {
        let local = LocalBinder()
        var router = Channels(binder: local).router
        router.add { request, next in
            guard Channels.change(by: request) == nil || request.headers["Authorization"] == "Bearer secret" else {
                return HTTPResponse(401, text: "{\"error\":\"refused\",\"message\":\"send a token\"}", type: "application/json")
            }
            return await next(request)
        }
        let secured = router
        try await TestHTTPServer.with(secured) { server in
            let with = HTTPBinder(configuration: HTTPBinderConfiguration(url: server.url, token: { "secret" }))
            let without = HTTPBinder(configuration: HTTPBinderConfiguration(url: server.url))
            let destination = try Destination("d")
            _ = try await with.publish(Envelope(text: "x"), to: destination)
            await #expect { _ = try await without.publish(Envelope(text: "x"), to: destination) } throws: { error in
                guard let error = error as? BinderError else { return false }
                return error.code == .refused && error.message.contains("send a token") && !error.message.contains("secret")
            }
            await #expect {
                try await without.withSubscription(to: destination, group: try ConsumerGroup("g"), options: SubscriptionOptions()) { _ in }
            } throws: { ($0 as? BinderError)?.code == .refused }
        }
    }
}

private final class TextSet: Sendable {
    private let texts: Locked<Set<String>>
    init(_ texts: consuming sending Locked<Set<String>>) { self.texts = texts }
    var all: Set<String> { texts.withLock { $0 } }
    var count: Int { texts.withLock { $0.count } }
    func add(_ text: String) { texts.withLock { _ = $0.insert(text) } }
}
