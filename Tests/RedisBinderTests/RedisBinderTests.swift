import Foundation
import Streams
import TestSupport
import Testing

@testable import RedisBinder

@Suite(.enabled(if: RedisServer.isInstalled, "\(RedisServer.whyNot)"), .timeLimit(.minutes(4)))
struct RedisBinderTests {
    private func server() async throws -> RedisServer { try await .shared() }

    @Test func `the form in the stream is as documented, and what redis-cli adds is an event`() async throws {
        let server = try await server()
        try await withBinder(server) { binder in
            let destination = try fresh()
            let stream = binder.keys(of: destination, partition: nil, group: nil).stream
            #expect(stream == "carillon:{\(destination.name)}")
            let sent = Envelope(
                id: "one", payload: Array("hello".utf8), contentType: "text/plain", headers: ["n": 7, "list": .array([1, "two"])], key: "k",
                timestamp: 5)
            let receipt = try await binder.publish(sent, to: destination)
            let raw = try await server.command("XRANGE", stream, "-", "+").split(separator: "\n").map(String.init)
            #expect(raw.first == receipt.position)
            let fields = Dictionary(uniqueKeysWithValues: stride(from: 1, to: raw.count - 1, by: 2).map { (raw[$0], raw[$0 + 1]) })
            #expect(
                fields == [
                    "id": "one", "type": "text/plain", "key": "k", "time": "5", "i:n": "7", "j:list": "[1,\"two\"]", "payload": "hello",
                ])
            try await server.command("XADD", stream, "77777777777777-1", "payload", "from afar", "colour", "red", "i:odd", "no number")
            let options = SubscriptionOptions(start: .earliest)
            try await binder.withSubscription(to: destination, group: nil, options: options) { deliveries in
                #expect(try await deliveries.next()?.take().envelope == sent)
                let foreign = try await deliveries.next()?.take().envelope
                #expect(foreign?.id == "77777777777777-1")
                #expect(foreign?.timestamp == 77_777_777_777_777)
                #expect(foreign.map { String(decoding: $0.payload, as: UTF8.self) } == "from afar")
                #expect(foreign?.headers == ["colour": "red", "i:odd": "no number"])
            }
        }
    }

    @Test func `the backlog tells ready, in hand, delayed and dead apart, and nothing of a group that is not there`() async throws {
        try await withBinder(try await server()) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("workers")
            await #expect(
                performing: { try await binder.backlog(of: destination, group: group) }, throws: { ($0 as? BinderError)?.code == .invalid })
            try await binder.prepare(group: group, of: destination)
            #expect(
                try await binder.backlog(of: destination, group: group)
                    == Backlog(ready: 0, inHand: 0, delayed: 0, dead: 0, members: 0, published: 0))
            for number in 0..<10 { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) }
            let before = try await binder.backlog(of: destination, group: group)
            #expect(before.ready == 10 && before.total == 10)
            #expect(before.oldestAge.map { $0 < .seconds(60) } == true)
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 4)) { deliveries in
                let held = try await deliveries.next()?.take()
                try await deliveries.next()?.retry(after: .seconds(600))
                try await deliveries.next()?.reject(FailureReason(message: "no"))
                try await deliveries.next()?.accept()
                let next = try await deliveries.next()?.take()
                try await eventually(within: .seconds(10), "four more in hand") {
                    let now = try await binder.backlog(of: destination, group: group)
                    return now.inHand == 4 && now.ready == 3 && now.delayed == 1 && now.dead == 1 && now.members == 1
                }
                try await held?.settlement.settle(.accept)
                next?.settlement.release()
            }
            try await eventually(within: .seconds(10), "no member") { try await binder.backlog(of: destination, group: group).members == 0 }
            let after = try await binder.backlog(of: destination, group: group)
            #expect(after.inHand == 0 && after.delayed == 1 && after.ready == 6)
        }
    }

    @Test func `a lag that Redis does not know is counted, and beyond a bound an error and not zero`() async throws {
        let server = try await server()
        try await withBinder(server) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("workers")
            try await binder.prepare(group: group, of: destination)
            var positions: [String] = []
            for number in 0..<5 { positions.append(try await binder.publish(Envelope(text: "\(number)"), to: destination).position ?? "") }
            let stream = binder.keys(of: destination, partition: nil, group: nil).stream
            try await server.command("XDEL", stream, positions[2])
            try await server.command("XGROUP", "SETID", stream, "workers", positions[1])
            #expect(try await server.command("XINFO", "GROUPS", stream).hasSuffix("lag"))  // and nothing behind it
            #expect(try await binder.backlog(of: destination, group: group).ready == 2)
            let fill = "for i = 1, 1000 do redis.call('XADD', KEYS[1], '*', 'a', 'b') end"
            try await server.command("EVAL", fill, "1", stream)
            let error = await #expect(throws: BinderError.self) { try await binder.backlog(of: destination, group: group) }
            #expect(error?.message.contains("does not know") == true)
        }
    }

    @Test func `a member that is killed with ten events in hand is found out, and a slow one that lives is not robbed`() async throws {
        let server = try await server()
        let (uri, destination, group) = (server.uri, try fresh(), try ConsumerGroup("workers"))
        let name = destination.name
        try await withBinder(server, { $0.lease = .seconds(3) }) { binder in
            try await binder.prepare(group: group, of: destination)
            _ = try await binder.publish(Envelope(text: "slow"), to: destination)
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 1)) { slow in
                let held = try await slow.next()?.take()  // for longer than the lease
                for number in 0..<10 { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) }
                await #expect(processExitsWith: .signal(SIGKILL)) { [uri = uri as String, name = name as String] in
                    try await withBinderOf(uri) { binder in
                        let options = SubscriptionOptions(prefetch: 10)
                        try await binder.withSubscription(to: try Destination(name), group: try ConsumerGroup("workers"), options: options)
                        {
                            deliveries in
                            var held: [ReceivedEnvelope] = []
                            while held.count < 10, let delivery = try await deliveries.next() { held.append(delivery.take()) }
                            kill(getpid(), SIGKILL)
                        }
                    }
                }
                let seen = Tally<[String: Int]>([:])
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 20)) { deliveries in
                    while seen.now.count < 10, let delivery = try await deliveries.next() {
                        let (text, attempt) = (String(decoding: delivery.envelope.payload, as: UTF8.self), delivery.attempt)
                        seen.change { $0[text] = attempt }
                        try await delivery.accept()
                    }
                }
                #expect(Set(seen.now.keys) == Set((0..<10).map(String.init)))
                #expect(seen.now.values.allSatisfy { $0 == 2 })
                try await held?.settlement.settle(.accept)
            }
            #expect(try await binder.backlog(of: destination, group: group).total == 0)
        }
    }

    @Test func `trimming drops what all groups have done, and nothing that one has not`() async throws {
        let server = try await server()
        try await withBinder(server, { $0.retention = .zero }) { binder in
            let destination = try fresh()
            let (done, behind) = (try ConsumerGroup("done"), try ConsumerGroup("behind"))
            let keys = binder.keys(of: destination, partition: nil, group: done)
            try await binder.prepare(group: done, of: destination)
            try await binder.prepare(group: behind, of: destination)
            let payload = [UInt8](repeating: 1, count: 2000)
            for _ in 0..<300 { _ = try await binder.publish(Envelope(payload: payload), to: destination) }
            func finish(_ group: ConsumerGroup, _ count: Int) async throws {
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 100)) {
                    deliveries in
                    for _ in 0..<count { try await deliveries.next()?.accept() }
                }
            }
            try await finish(done, 300)
            _ = try await binder.call(Scripts.trim(keys, binder.configuration), on: keys)
            #expect(try await server.command("XLEN", keys.stream) == "300")
            try await finish(behind, 300)
            _ = try await binder.call(Scripts.trim(keys, binder.configuration), on: keys)
            let left = try await server.command("XLEN", keys.stream)
            #expect(Int(left).map { $0 < 10 } == true, "\(left) are left")
        }
    }

    @Test func `a broadcast subscription that was away for too long is told of the gap`() async throws {
        let server = try await server()
        try await withBinder(server) { binder in
            let destination = try fresh()
            let stream = binder.keys(of: destination, partition: nil, group: nil).stream
            let first = try await binder.publish(Envelope(text: "0"), to: destination).position ?? ""
            for number in 1..<10 { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) }
            func texts(after position: String, _ count: Int) async throws -> ([String], [SubscriptionEvent]) {
                let events = EventCollector()
                let options = SubscriptionOptions(start: .after(position), events: { events.add($0) })
                let texts = try await binder.withSubscription(to: destination, group: nil, options: options) { deliveries in
                    var texts: [String] = []
                    while texts.count < count, let delivery = try await deliveries.next() {
                        texts.append(String(decoding: delivery.envelope.payload, as: UTF8.self))
                    }
                    return texts
                }
                return (texts, events.all)
            }
            let whole = try await texts(after: first, 9)
            #expect(whole.0 == (1..<10).map(String.init))
            #expect(whole.1 == [.ready])
            try await server.command("XTRIM", stream, "MAXLEN", "3")
            let rest = try await texts(after: first, 3)
            #expect(rest.0 == ["7", "8", "9"])
            #expect(rest.1 == [.ready, .gap])
            await #expect(performing: { try await texts(after: "nonsense", 1) }, throws: { ($0 as? BinderError)?.code == .invalid })
        }
    }

    @Test func `a broadcast subscription can start at a time`() async throws {
        try await withBinder(try await server()) { binder in
            let destination = try fresh()
            _ = try await binder.publish(Envelope(text: "old"), to: destination)
            try await Task.sleep(for: .milliseconds(20))  // so that the two have different times
            let position = try await binder.publish(Envelope(text: "new"), to: destination).position
            let time = Int64(position?.split(separator: "-").first ?? "") ?? 0
            #expect(try await binder.latestPosition(of: destination) == position)
            try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(start: .time(time))) { deliveries in
                let text = try await deliveries.next()?.take().envelope.payload
                #expect(text == Array("new".utf8))
            }
        }
    }

    @Test func `each partition has a stream of its own, in the order of its keys`() async throws {
        try await withBinder(try await server(), { $0.partitions = ["split": 3] }) { binder in
            let destination = try Destination("split")
            let group = try ConsumerGroup("g-\(Identifier.random().prefix(6))")
            try await binder.prepare(group: group, of: destination)
            for number in 0..<60 { _ = try await binder.publish(Envelope(text: "\(number)", key: "key-\(number % 6)"), to: destination) }
            #expect(try await binder.backlog(of: destination, group: group).ready == 60)
            var counts: [Int] = []
            for partition in 0..<3 {
                let expected = (0..<60).filter { Partitioning.partition(of: "key-\($0 % 6)", count: 3) == partition }.map(String.init)
                counts.append(expected.count)
                let options = SubscriptionOptions(partition: partition)
                let texts = try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                    var texts: [String] = []
                    while texts.count < expected.count, let delivery = try await deliveries.next() {
                        texts.append(String(decoding: delivery.envelope.payload, as: UTF8.self))
                        try await delivery.accept()
                    }
                    return texts
                }
                #expect(texts == expected)
            }
            #expect(counts.reduce(0, +) == 60)
            for options in [SubscriptionOptions(), SubscriptionOptions(partition: 3)] {
                await #expect(
                    performing: { try await binder.withSubscription(to: destination, group: group, options: options) { _ in } },
                    throws: { ($0 as? BinderError)?.code == .invalid })
            }
            await #expect(
                performing: { try await binder.publish(Envelope(text: "no key"), to: destination) },
                throws: { ($0 as? BinderError)?.code == .invalid })
        }
    }

    @Test func `a key that holds something else is a conflict and says so`() async throws {
        let server = try await server()
        try await withBinder(server) { binder in
            let destination = try fresh()
            try await server.command("SET", binder.keys(of: destination, partition: nil, group: nil).stream, "text")
            for attempt in ["publish", "group", "broadcast"] {
                let error = await #expect(throws: BinderError.self) {
                    switch attempt {
                    case "publish": _ = try await binder.publish(Envelope(text: "x"), to: destination)
                    default:
                        let group = attempt == "group" ? try ConsumerGroup("g") : nil
                        try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { _ in }
                    }
                }
                #expect(error?.code == .conflict, "\(attempt)")
            }
        }
    }

    @Test func `a publish that too few replicas have is not confirmed`() async throws {
        try await withBinder(
            try await server(),
            {
                $0.replicas = 1; $0.replyLimit = .seconds(1)
            }
        ) { binder in
            let error = await #expect(throws: BinderError.self) { try await binder.publish(Envelope(text: "x"), to: try fresh()) }
            #expect(error?.code == .timedOut)
            #expect(error?.message.contains("0 of 1 replicas") == true)
        }
    }
}

private func withBinderOf(_ uri: String, _ body: (RedisBinder) async throws -> Void) async throws {
    try await running(RedisBinder(configuration: try RedisConfiguration(uri: uri)), body)
}
