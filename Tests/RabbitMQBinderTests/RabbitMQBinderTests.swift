import Foundation
import Lifecycle
import Streams
import Telemetry
import TestSupport
import Testing

@testable import RabbitMQBinder

/// What only RabbitMQ has, on a broker that stays as it is.
@Suite(.enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"), .timeLimit(.minutes(6)))
struct RabbitMQBinderTests {
    private func code(_ body: () async throws -> Void) async -> BinderError.Code? {
        do {
            try await body()
            return nil
        } catch { return (error as? BinderError)?.code }
    }

    // MARK: Publishing

    @Test func `an event that reaches no queue is unroutable where the publisher asks, and fine where it does not`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        try await withBinder(server) { binder in _ = try await binder.publish(Envelope(text: "nobody"), to: destination) }
        try await withBinder(server, { $0.mandatory = true }) { binder in
            #expect(await code { _ = try await binder.publish(Envelope(text: "nobody"), to: destination) } == .unroutable)
            try await binder.prepare(group: try ConsumerGroup("g"), of: destination)
            _ = try await binder.publish(Envelope(text: "somebody"), to: destination)
        }
    }

    @Test func `a full queue that refuses is told to the publisher, and the others go through`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        try await RawAMQP.with(server.uri) { connection in
            try connection.declareExchange(destination.name, type: "topic")
            try connection.declareQueue(
                "\(destination.name).small", durable: true, arguments: [("x-max-length", 5), ("x-overflow", "reject-publish")])
            try connection.bind(queue: "\(destination.name).small", to: destination.name, routingKey: "#")
        }
        try await withBinder(server) { binder in
            let codes = await withTaskGroup(of: BinderError.Code?.self) { tasks in
                for number in 0..<50 {
                    tasks.addTask { await code { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) } }
                }
                return await tasks.reduce(into: [BinderError.Code?]()) { $0.append($1) }
            }
            #expect(Set(codes.compactMap { $0 }) == [.rejected])
            #expect(codes.count { $0 == nil } >= 5)
            #expect(codes.count { $0 == .rejected } > 0)
        }
    }

    @Test func `an exchange of another type is a conflict that names both, and disturbs no other destination`() async throws {
        let server = try await RabbitMQServer.shared()
        let wrong = try fresh("wrong")
        let right = try fresh("right")
        try await RawAMQP.with(server.uri) { try $0.declareExchange(wrong.name, type: "fanout") }
        try await withBinder(server) { binder in
            _ = try await binder.publish(Envelope(text: "x"), to: right)
            let connections = binder.connectionCount
            for body: () async throws -> Void in [
                { _ = try await binder.publish(Envelope(text: "x"), to: wrong) },
                { try await binder.withSubscription(to: wrong, group: nil, options: SubscriptionOptions()) { _ in } },
                { try await binder.prepare(group: try ConsumerGroup("g"), of: wrong) },
            ] {
                do {
                    try await body()
                    Issue.record("no conflict")
                } catch let error as BinderError {
                    #expect(error.code == .conflict)
                    #expect(error.message.contains("topic") && error.message.contains("fanout") && error.message.contains(wrong.name))
                }
            }
            _ = try await binder.publish(Envelope(text: "x"), to: right)
            #expect(binder.connectionCount == connections)
        }
    }

    @Test func `an exchange deleted behind our back is declared again, and the publish goes through`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        try await withBinder(server) { binder in
            _ = try await binder.publish(Envelope(text: "before"), to: destination)
            try await server.control(
                "eval", "rabbit_exchange:delete(rabbit_misc:r(<<\"/\">>, exchange, <<\"\(destination.name)\">>), false, <<\"test\">>), ok.")
            _ = try await binder.publish(Envelope(text: "after"), to: destination)
        }
    }

    @Test func `wrong credentials are refused with a reason, without a hot loop`() async throws {
        let server = try await RabbitMQServer.shared()
        let metrics = Metrics()
        var configuration = try RabbitMQConfiguration(uri: server.uri)
        configuration.password = "secret-that-is-wrong"
        configuration.backOff = .milliseconds(1)
        let refusedBackOff = configuration.refusedBackOff
        let begin = ContinuousClock.now
        try await running(RabbitMQBinder(configuration: configuration, metrics: metrics)) { binder in
            let destination = try fresh()
            #expect(await code { _ = try await binder.publish(Envelope(text: "x"), to: destination) } == .refused)
            if case .waiting(let reason) = binder.readiness {
                #expect(reason.contains("refuse") && !reason.contains("secret"))
            } else {
                Issue.record("ready")
            }
            try await Task.sleep(for: .milliseconds(1500))  // time for a hot loop to show
            let count = try #require(metrics.prometheusText.split(separator: "\n").last?.split(separator: " ").last.flatMap { Int($0) })
            // One for each pause that is over, however long the machine took for it.
            #expect((1...1 + Int((ContinuousClock.now - begin) / refusedBackOff)).contains(count), "\(count) attempts")
        }
    }

    @Test func `headers that fit in no frame are too large, and the connection goes on`() async throws {
        try await withBinder(RabbitMQServer.shared()) { binder in
            let destination = try fresh()
            let big = Envelope(payload: [], headers: ["big": .string(String(repeating: "x", count: 140_000))])
            #expect(await code { _ = try await binder.publish(big, to: destination) } == .tooLarge)
            _ = try await binder.publish(
                Envelope(payload: [], headers: ["big": .string(String(repeating: "x", count: 100_000))]), to: destination)
            #expect(binder.connectionCount == 1)
        }
    }

    @Test(arguments: [
        Envelope(id: String(repeating: "i", count: 256), payload: []), Envelope(id: "", payload: []),
        Envelope(payload: [], contentType: String(repeating: "t", count: 256)),
        Envelope(payload: [], headers: [String(repeating: "h", count: 256): 1]),
        Envelope(payload: [], headers: ["t": .array([.table([String(repeating: "h", count: 256): 1])])]),
    ]) func `what AMQP's short strings cannot hold is invalid`(_ envelope: Envelope) async throws {
        let binder = RabbitMQBinder(configuration: RabbitMQConfiguration(addresses: []))
        let destination = try fresh()
        #expect(await code { _ = try await binder.publish(envelope, to: destination) } == .invalid)
    }

    @Test func `an idle connection outlives its heartbeats`() async throws {
        try await withBinder(RabbitMQServer.shared(), { $0.heartbeat = .seconds(1) }) { binder in
            let destination = try fresh()
            _ = try await binder.publish(Envelope(text: "x"), to: destination)
            try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions()) { deliveries in
                try await Task.sleep(for: .milliseconds(4500))  // more than four heartbeats without a word
                _ = try await binder.publish(Envelope(text: "y"), to: destination)
                try await deliveries.next()?.accept()
            }
            #expect(binder.connectionCount == 1)
        }
    }

    // MARK: Receiving

    @Test func `a queue without dead-letter arguments is used as it is, with a warning, and its dead letters are kept`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        let group = try ConsumerGroup("old")
        try await RawAMQP.with(server.uri) { connection in
            try connection.declareQueue("\(destination.name).old", durable: true)
        }
        let lines = Tally<[String]>([])
        let log = Log(part: "test") { _, line in lines.change { $0.append(line) } }
        try await withBinder(server, log: log) { binder in
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                _ = try await binder.publish(Envelope(text: "poison"), to: destination)
                try await deliveries.next()?.reject(FailureReason(message: "no"))
            }
            #expect(lines.now.contains { $0.contains("without dead-letter arguments") && $0.contains("\(destination.name).old") })
            #expect(try await binder.deadLetters(of: destination, group: group, limit: 5).map(\.reason.message) == ["no"])
        }
    }

    @Test func `a queue with other arguments is a conflict that names both values`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        try await RawAMQP.with(server.uri) { connection in
            try connection.declareQueue(
                "\(destination.name).g", durable: true,
                arguments: [
                    ("x-dead-letter-exchange", "elsewhere"), ("x-dead-letter-routing-key", .string("\(destination.name).g")),
                ])
        }
        try await withBinder(server) { binder in
            do {
                try await binder.withSubscription(to: destination, group: try ConsumerGroup("g"), options: SubscriptionOptions()) { _ in }
                Issue.record("no conflict")
            } catch let error as BinderError {
                #expect(error.code == .conflict)
                #expect(error.message.contains("'DLX'") && error.message.contains("'elsewhere'"))
            }
        }
    }

    @Test func `a dead-letter queue deleted meanwhile is declared again before anything is lost`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        let group = try ConsumerGroup("g")
        try await withBinder(server) { binder in
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                for number in 0..<2 {
                    _ = try await binder.publish(Envelope(text: "\(number)"), to: destination)
                    try await deliveries.next()?.reject(FailureReason(message: "no \(number)"))
                    if number == 0 { try await server.control("delete_queue", "\(destination.name).g.dlq") }
                }
            }
            #expect(try await binder.deadLetters(of: destination, group: group, limit: 5).map(\.reason.message) == ["no 1"])
        }
    }

    @Test func `a failure longer than a frame is cut, and the dead letter is kept`() async throws {
        let destination = try fresh()
        let group = try ConsumerGroup("g")
        try await withBinder(RabbitMQServer.shared()) { binder in
            let sent = Envelope(payload: [1], headers: ["own": .string(String(repeating: "o", count: 60_000))])
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                _ = try await binder.publish(sent, to: destination)
                try await deliveries.next()?.reject(FailureReason(message: String(repeating: "ä", count: 200_000)))
            }
            let letter = try await binder.deadLetters(of: destination, group: group, limit: 5).first
            #expect(letter?.envelope.headers == sent.headers)
            #expect(letter?.reason.message.isEmpty == false)
        }
    }

    @Test func `a rejected broadcast is dropped and counted, a delayed one comes again to its own subscription only`() async throws {
        let server = try await RabbitMQServer.shared()
        let metrics = Metrics()
        try await running(RabbitMQBinder(configuration: RabbitMQConfiguration(uri: server.uri), metrics: metrics)) { binder in
            let destination = try fresh()
            try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions()) { other in
                try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions()) { deliveries in
                    _ = try await binder.publish(Envelope(text: "1"), to: destination)
                    try await deliveries.next()?.retry(after: .milliseconds(100))
                    let again = try await deliveries.next()?.take()
                    #expect(again?.attempt == 2)
                    try await again?.settlement.settle(.reject(FailureReason(message: "no")))
                    _ = try await binder.publish(Envelope(text: "2"), to: destination)
                    let next = try await deliveries.next()?.take()
                    #expect(next?.envelope.payload == Array("2".utf8))
                    try await next?.settlement.settle(.accept)
                }
                var texts: [String] = []
                while texts.count < 2, let delivery = try await other.next() {
                    texts.append(String(decoding: delivery.envelope.payload, as: UTF8.self))
                    try await delivery.accept()
                }
                #expect(texts == ["1", "2"])
            }
            #expect(metrics.prometheusText.contains("carillon_rejected_dropped_total{destination=\"\(destination)\"} 1\n"))
        }
    }

    @Test func `attempts are counted over delays, handing back and reconnection`() async throws {
        let destination = try fresh()
        let group = try ConsumerGroup("g")
        try await withBinder(RabbitMQServer.shared()) { binder in
            var attempts: [Int] = []
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                _ = try await binder.publish(Envelope(text: "x"), to: destination)
                while let delivery = try await deliveries.next() {
                    attempts.append(delivery.attempt)
                    switch attempts.count {
                    case 1: try await delivery.retry(after: .milliseconds(30))
                    case 2: try await delivery.retry()
                    case 3: try await delivery.retry(after: .milliseconds(30))
                    default: return  // unsettled: goes back when the subscription ends
                    }
                }
            }
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                let last = try await deliveries.next()?.take()
                attempts.append(last?.attempt ?? 0)
                #expect(last?.envelope.headers == [:])
                try await last?.settlement.settle(.reject(FailureReason(message: "enough")))
            }
            #expect(attempts == [1, 2, 3, 4, 5])
            let raw = try await RawAMQP.with(try await RabbitMQServer.shared().uri) { connection in
                try RawAMQP.take(1, from: "\(destination.name).g.dlq", connection).first
            }
            #expect(raw?.headers["x-original-exchange"]?.value == destination.name)
            #expect(raw?.headers["x-original-routingKey"]?.value == destination.name)
            #expect(raw?.headers["carillon-attempts"]?.value == "5")
        }
    }

    @Test func `a key chooses the partition, and a member of a partition gets only that one's events`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        let group = try ConsumerGroup("g")
        try await withBinder(server, { $0.partitions = [destination.name: 3] }) { binder in
            try await binder.prepare(group: group, of: destination)
            let keys = (0..<30).map { "key-\($0)" }
            for key in keys { _ = try await binder.publish(Envelope(text: key, key: key), to: destination) }
            #expect(await code { _ = try await binder.publish(Envelope(text: "no key"), to: destination) } == .invalid)
            for partition in 0..<3 {
                let mine = keys.filter { Partitioning.partition(of: $0, count: 3) == partition }
                var received: [String?] = []
                let options = SubscriptionOptions(partition: partition)
                try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                    while received.count < mine.count, let delivery = try await deliveries.next() {
                        received.append(delivery.envelope.key)
                        try await delivery.accept()
                    }
                }
                #expect(received == mine)
            }
        }
    }

    @Test func `a subscription that asks for the past is told that there is a gap`() async throws {
        try await withBinder(RabbitMQServer.shared()) { binder in
            let events = EventCollector()
            let options = SubscriptionOptions(start: .after("17"), events: { events.add($0) })
            try await binder.withSubscription(to: try fresh(), group: nil, options: options) { _ in }
            #expect(events.all == [.ready, .gap])
        }
    }

    @Test func `over TLS the broker's certificate is checked, and a wrong authority or host is refused`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "carillon-tls-\(Identifier.random())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Certificates.make(in: folder)
        let port = freePort()
        let lines = """
            listeners.ssl.1 = 127.0.0.1:\(port)
            ssl_options.cacertfile = \(folder.path)/authority.pem
            ssl_options.certfile = \(folder.path)/broker.pem
            ssl_options.keyfile = \(folder.path)/broker.key
            ssl_options.verify = verify_none
            """
        try await RabbitMQServer.with(configuration: lines) { _ in
            func attempt(_ uri: String) async throws -> String? {
                var configuration = try RabbitMQConfiguration(uri: uri)
                configuration.publishLimit = .seconds(4)
                return try await running(RabbitMQBinder(configuration: configuration)) { binder in
                    do {
                        _ = try await binder.publish(Envelope(text: "x"), to: try Destination("secret"))
                        return nil
                    } catch let error as BinderError {
                        #expect(error.code == .unreachable)
                        return error.message
                    }
                }
            }
            let authority = "cacertfile=\(folder.path)/authority.pem"
            // The certificate names localhost.
            let refused = [
                ("localhost:\(port)/%2F?\(authority)", false), ("localhost:\(port)/%2F?cacertfile=\(folder.path)/other.pem", true),
                ("127.0.0.1:\(port)/%2F?\(authority)", true), ("127.0.0.1:\(port)/%2F?verify=verify_none", false),
            ]
            for (place, expected) in refused {
                let refusal = try await attempt("amqps://" + place)
                #expect((refusal != nil) == expected, "\(place): \(refusal ?? "taken")")
            }
        }
    }
}

enum Certificates {
    /// `authority.pem` vouches for `broker.pem` with `broker.key`, named localhost; `other.pem` is an authority that does not.
    static func make(in folder: URL) throws {
        func openssl(_ arguments: String) throws {
            let process = SpawnedProcess()
            process.executableURL = URL(filePath: "/usr/bin/openssl")
            process.arguments = arguments.split(separator: " ").map(String.init)
            process.currentDirectoryURL = folder
            process.standardError = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardInput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else { throw AMQPFailure(.broken, "openssl \(arguments)") }
        }
        for name in ["authority", "other"] {
            try openssl("req -x509 -newkey rsa:2048 -nodes -keyout \(name).key -out \(name).pem -days 2 -subj /CN=\(name)")
        }
        try openssl("req -newkey rsa:2048 -nodes -keyout broker.key -out broker.csr -subj /CN=localhost")
        try "subjectAltName=DNS:localhost\n".write(to: folder.appending(path: "names"), atomically: true, encoding: .utf8)
        try openssl(
            "x509 -req -in broker.csr -CA authority.pem -CAkey authority.key -CAcreateserial -out broker.pem -days 2 -extfile names")
    }
}
