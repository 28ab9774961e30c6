import Foundation
import Streams
import TestSupport
import Testing

@testable import RabbitMQBinder

/// What peers compress and batch, what stays off the wire, how queues are declared and what the broker tells of them, on a real broker.
@Suite(.enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"), .timeLimit(.minutes(6)))
struct RabbitMQContentTests {
    private func send(
        _ body: [UInt8], to destination: Destination, properties: [String: String], headers: [String: String] = [:],
        _ server: RabbitMQServer
    ) async throws {
        try await RawAMQP.with(server.uri) { connection in
            try RawAMQP.publish(
                to: destination.name, key: "any", properties: properties, headers: headers.mapValues { ["t": "S", "v": $0] }, body: body,
                connection)
        }
    }

    private func ready(_ queue: String, _ server: RabbitMQServer) async throws -> Int {
        try await RawAMQP.with(server.uri) { try $0.declareQueue(queue, durable: true, passive: true).ready }
    }

    private let batch: [UInt8] = [0, 0, 0, 1, 65, 0, 0, 0, 1, 66, 0, 0, 0, 1, 67]

    @Test func `each message of a batch ends in its own way, and the one message that brought them is acknowledged`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        let group = try ConsumerGroup("g")
        try await withBinder(server) { binder in
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 1)) { deliveries in
                try await send(
                    Packed.gzip(batch), to: destination, properties: ["messageId": "m", "contentEncoding": "gzip"],
                    headers: ["springBatchFormat": "lengthHeader4", "own": "kept"], server)
                var seen: [String] = []
                while seen.count < 4, let delivery = try await deliveries.next() {
                    let envelope = delivery.envelope
                    let text = String(decoding: envelope.payload, as: UTF8.self)
                    seen.append("\(text) \(delivery.attempt) \(envelope.id)")
                    #expect(envelope.headers == ["own": "kept"])
                    switch (text, delivery.attempt) {
                    case ("B", 1): try await delivery.retry(after: .milliseconds(20))
                    case ("C", _): try await delivery.reject(FailureReason(message: "no"))
                    default: try await delivery.accept()
                    }
                }
                #expect(seen == ["A 1 m", "B 1 m#1", "C 1 m#2", "B 2 m#1"])
            }
            let letters = try await binder.deadLetters(of: destination, group: group, limit: 5)
            #expect(letters.map(\.envelope.payload) == [[67]])
            #expect(letters.map(\.id) == ["m#2"])
            #expect(letters.map(\.envelope.headers) == [["own": "kept"]])
        }
        #expect(try await ready("\(destination.name).g", server) == 0)
    }

    @Test func `a batch of which one message is not settled comes again as a whole`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        let group = try ConsumerGroup("g")
        try await withBinder(server) { binder in
            for round in 1...3 {
                var seen: [String] = []
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                    if round == 1 {
                        try await send(batch, to: destination, properties: [:], headers: ["springBatchFormat": "lengthHeader4"], server)
                    }
                    while seen.count < 3, let delivery = try await deliveries.next() {
                        seen.append("\(String(decoding: delivery.envelope.payload, as: UTF8.self)) \(delivery.attempt)")
                        // First the second one is left unsettled while the subscription ends, then the last one is dropped.
                        if round == 1, seen.count == 2 { return }
                        if round == 2, seen.count == 3 { continue }
                        try await delivery.accept()
                    }
                }
                switch round {
                case 1: #expect(seen == ["A 1", "B 1"])
                case 2: #expect(seen == ["A 2", "B 2", "C 2"])
                default: #expect(seen == ["A 2", "B 2", "C 2"])
                }
            }
        }
        #expect(try await ready("\(destination.name).g", server) == 0)
    }

    @Test func `a compressed event that is rejected stays compressed, is shown as it was, and comes back`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        let group = try ConsumerGroup("g")
        let text = Array("once, twice, once, twice".utf8)
        try await withBinder(server) { binder in
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                try await send(
                    Packed.zip(text), to: destination, properties: ["messageId": "z", "contentEncoding": "zip:UTF-8"],
                    headers: ["springAutoDecompress": "true"], server)
                try await deliveries.next()?.reject(FailureReason(message: "no"))
            }
            let letter = try await binder.deadLetters(of: destination, group: group, limit: 5).first
            #expect(letter?.envelope.payload == text)
            #expect(letter?.envelope.headers == ["amqp_contentEncoding": "UTF-8"])
            #expect(try await binder.replay(nil, of: destination, group: group) == 1)
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                let again = try await deliveries.next()?.take()
                #expect(again?.envelope.payload == text)
                try await again?.settlement.settle(.reject(FailureReason(message: "still no")))
            }
            let raw = try await RawAMQP.with(server.uri) { try RawAMQP.take(1, from: "\(destination.name).g.dlq", $0).first }
            #expect(raw?.body == Packed.zip(text))
            #expect(raw?.properties["contentEncoding"] == "zip:UTF-8")
        }
    }

    @Test func `what means something inside one process only stays off the wire, and the priority is a property`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        try await withBinder(server) { binder in
            try await binder.prepare(group: try ConsumerGroup("g"), of: destination)
            _ = try await binder.publish(
                Envelope(
                    payload: [1],
                    headers: [
                        "scst_partition": 1, "sourceData": "x", "deliveryAttempt": 2, "rabbitmq_streamContext": "y", "priority": 4,
                        "own": "z",
                    ]), to: destination)
        }
        let raw = try await RawAMQP.with(server.uri) { try RawAMQP.take(1, from: "\(destination.name).g", $0).first }
        #expect(raw?.headers.keys.sorted() == ["own", "priority"])
        #expect(raw?.properties["priority"] == "4")
    }

    @Test func `a quorum queue counts attempts, and a queue of priorities hands out the higher first`() async throws {
        let server = try await RabbitMQServer.shared()
        let counted = try fresh("counted")
        let ranked = try fresh("ranked")
        let group = try ConsumerGroup("g")
        try await withBinder(
            server,
            {
                $0.queues[counted.name] = RabbitMQQueueOptions()
                $0.queues[counted.name]?.limits.quorum = .init(deliveryLimit: 10)
                $0.queues[ranked.name] = RabbitMQQueueOptions()
                $0.queues[ranked.name]?.limits.maxPriority = 5
            }
        ) { binder in
            var attempts: [Int] = []
            try await binder.withSubscription(to: counted, group: group, options: SubscriptionOptions(prefetch: 1)) { deliveries in
                _ = try await binder.publish(Envelope(text: "x", headers: ["own": 1]), to: counted)
                while attempts.count < 4, let delivery = try await deliveries.next() {
                    attempts.append(delivery.attempt)
                    #expect(delivery.envelope.headers == ["own": 1])
                    switch attempts.count {
                    case 3: try await delivery.retry(after: .milliseconds(20))
                    case 4: try await delivery.accept()
                    default: continue  // dropped unsettled
                    }
                }
            }
            #expect(attempts == [1, 2, 3, 4])
            try await binder.prepare(group: group, of: ranked)
            for priority in [1, 5, 3] as [Int64] {
                _ = try await binder.publish(Envelope(text: "\(priority)", headers: ["priority": .integer(priority)]), to: ranked)
            }
            var texts: [String] = []
            try await binder.withSubscription(to: ranked, group: group, options: SubscriptionOptions(prefetch: 1)) { deliveries in
                while texts.count < 3, let delivery = try await deliveries.next() {
                    texts.append(String(decoding: delivery.envelope.payload, as: UTF8.self))
                    try await delivery.accept()
                }
            }
            #expect(texts == ["5", "3", "1"])
        }
    }

    @Test func `dead letters with a routing key of their own are kept, shown and replayed`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        let group = try ConsumerGroup("only-\(Identifier.random().prefix(8))")
        try await withBinder(
            server,
            {
                var options = RabbitMQQueueOptions()
                options.isNamedByGroup = true
                options.exchangeType = .direct
                options.routingKey = "way"
                options.bindingRoutingKeys = ["way", "other-way"]
                options.deadLetters.exchange = "\(destination.name)-letters"
                options.deadLetters.queue = "\(destination.name)-kept"
                options.deadLetters.routingKey = "dead"
                $0.queues[destination.name] = options
                $0.mandatory = true
            }
        ) { binder in
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                _ = try await binder.publish(Envelope(text: "x"), to: destination)
                try await deliveries.next()?.reject(FailureReason(message: "no"))
                #expect(try await binder.deadLetters(of: destination, group: group, limit: 5).map(\.reason.message) == ["no"])
                #expect(try await binder.replay(nil, of: destination, group: group) == 1)
                try await deliveries.next()?.accept()
            }
        }
        #expect(try await ready(group.name, server) == 0)
        #expect(try await ready("\(destination.name)-kept", server) == 0)
    }

    @Test func `the backlog is what the broker tells, and what it does not tell is unknown`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        let parted = try fresh("parted")
        let group = try ConsumerGroup("g")
        try await withBinder(server, { $0.partitions = [parted.name: 3] }) { binder in
            do throws(BinderError) {
                _ = try await binder.backlog(of: destination, group: group)
                Issue.record("a group that does not exist has a backlog")
            } catch {
                #expect(error.code == .invalid && error.message.contains("no group g"))
            }
            try await binder.prepare(group: group, of: destination)
            for number in 0..<5 { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) }
            #expect(
                try await binder.backlog(of: destination, group: group) == Backlog(ready: 5, inHand: nil, delayed: nil, dead: 0, members: 0)
            )
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 2)) { deliveries in
                try await deliveries.next()?.reject(FailureReason(message: "no"))
                try await eventually(within: .seconds(20), "two more in hand, one dead") {
                    try await binder.backlog(of: destination, group: group)
                        == Backlog(ready: 2, inHand: nil, delayed: nil, dead: 1, members: 1)
                }
            }
            try await binder.prepare(group: group, of: parted)
            for key in 0..<20 { _ = try await binder.publish(Envelope(text: "x", key: "\(key)"), to: parted) }
            #expect(try await binder.backlog(of: parted, group: group).ready == 20)
        }
    }

    @Test func `a full queue refuses publishers while its consumer goes on, and takes events again when there is room`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        let group = try ConsumerGroup("g")
        try await withBinder(
            server,
            {
                $0.queueDefaults.limits.maxLength = 3
                $0.queueDefaults.limits.overflow = .rejectPublish
            }
        ) { binder in
            try await binder.prepare(group: group, of: destination)
            var taken: [String] = []
            var refused = 0
            for number in 0..<20 {
                do throws(BinderError) {
                    _ = try await binder.publish(Envelope(text: "\(number)"), to: destination)
                    taken.append("\(number)")
                } catch {
                    #expect(error.code == .rejected && error.isRetriable)
                    refused += 1
                }
            }
            #expect(refused > 0 && taken.count >= 3)
            let expected = taken
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 1)) { deliveries in
                var texts: [String] = []
                while texts.count < expected.count, let delivery = try await deliveries.next() {
                    texts.append(String(decoding: delivery.envelope.payload, as: UTF8.self))
                    try await delivery.accept()
                }
                #expect(texts == expected)
                _ = try await binder.publish(Envelope(text: "again"), to: destination)
                try await deliveries.next()?.accept()
            }
        }
    }
}
