import Foundation
import Lifecycle
import Streams
import TestSupport
import Testing

@testable import RedisBinder

/// These kill, freeze, fill and flush their server: each has one of its own.
@Suite(.serialized, .enabled(if: RedisServer.isInstalled, "\(RedisServer.whyNot)"), .timeLimit(.minutes(6)))
struct RedisFailureTests {
    @Test func `a server killed twice among 10,000 confirmed publishes loses none of them`() async throws {
        try await RedisServer.with(["--appendfsync", "always"]) { server in
            try await withBinder(server) { binder in
                let load = try ConfirmedLoad(binder, readyWithin: .seconds(20), limit: .seconds(60))
                try await load.run(troubledAt: [1.0 / 3, 2.0 / 3]) {
                    try await server.kill()
                    try await server.start()
                }
                #expect(load.confirmed.now.count == 10_000)
                #expect(load.failed.now > 0)  // the kill came while publishes were under way
                #expect(load.events.all.filter { $0 == .resumed }.count == 2)
                #expect(!load.events.all.contains(.gap))
            }
        }
    }

    @Test func `a binder whose server is absent starts, waits, and serves when it comes`() async throws {
        try await RedisServer.with { server in
            try await server.kill()
            var configuration = try RedisConfiguration(uri: server.uri)
            configuration.longestBackOff = .milliseconds(300)
            let binder = RedisBinder(configuration: configuration)
            #expect(try await AbsentBroker.firstEvent(of: binder, within: .seconds(5)) { try await server.start() } == "at last")
        }
    }

    @Test func `a database flushed under load gives the group all that is published afterwards, and tells of the gap`() async throws {
        try await RedisServer.with { server in
            try await withBinder(server) { binder in
                let destination = try fresh()
                let group = try ConsumerGroup("workers")
                let events = EventCollector()
                let received = Tally<Set<String>>([])
                let phase = Tally(0)
                let confirmed = Tally<[Set<String>]>([[], []])
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { @Sendable in
                        let options = SubscriptionOptions(prefetch: 64, events: { events.add($0) })
                        try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                            while let delivery = try await deliveries.next() {
                                let id = delivery.envelope.id
                                try await delivery.accept()
                                received.change { $0.insert(id) }
                            }
                        }
                    }
                    try await eventually(within: .seconds(20), "ready") { events.all.contains(.ready) }
                    for publisher in 0..<8 {
                        tasks.addTask { @Sendable in
                            while phase.now < 3 {
                                let round = phase.now
                                let receipt = try await binder.publish(Envelope(text: "\(publisher)"), to: destination)
                                // What was published while it was flushed may be on either side of it.
                                if round == phase.now, round == 0 || round == 2 { confirmed.change { $0[round / 2].insert(receipt.id) } }
                            }
                        }
                    }
                    try await eventually(within: .seconds(20), "a load before") { confirmed.now[0].count > 500 }
                    phase.change { $0 = 1 }
                    try await server.command("FLUSHALL")
                    phase.change { $0 = 2 }
                    try await eventually(within: .seconds(20), "a load afterwards") { confirmed.now[1].count > 2000 }
                    phase.change { $0 = 3 }
                    try await eventually(within: .seconds(30), "all that was published afterwards") {
                        confirmed.now[1].isSubset(of: received.now)
                    }
                    tasks.cancelAll()
                }
                #expect(events.all.contains(.gap))
            }
        }
    }

    @Test func `events that came between a flush and the reader's next look are received`() async throws {
        try await RedisServer.with { server in
            try await withBinder(server) { binder in
                let destination = try fresh()
                let keys = binder.keys(of: destination, partition: nil, group: nil)
                let group = try ConsumerGroup("workers")
                let members = Tally<Set<String>>([])
                let everybody = Tally<Set<String>>([])
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    let events = EventCollector()
                    for (group, tally) in [(group, members), (nil, everybody)] as [(ConsumerGroup?, Tally<Set<String>>)] {
                        tasks.addTask { @Sendable in
                            let options = SubscriptionOptions(events: { events.add($0) })
                            try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                                while let delivery = try await deliveries.next() {
                                    let text = String(decoding: delivery.envelope.payload, as: UTF8.self)
                                    tally.change { $0.insert(text) }
                                    try? await delivery.accept()
                                }
                            }
                        }
                    }
                    try await eventually(within: .seconds(20), "both ready") { events.all.count { $0 == .ready } == 2 }
                    for round in 0..<5 {
                        // In one step for the server: nobody reads between the two.
                        try await server.command(
                            "EVAL", "redis.call('FLUSHALL') redis.call('XADD', KEYS[1], '*', 'payload', ARGV[1])", "1", keys.stream,
                            "after \(round)")
                        try await eventually(within: .seconds(20), "the event of round \(round)") {
                            members.now.contains("after \(round)") && everybody.now.contains("after \(round)")
                        }
                    }
                    tasks.cancelAll()
                }
            }
        }
    }

    @Test(arguments: [["DEL", "STREAM"], ["XGROUP", "DESTROY", "STREAM", "workers"]])
    func `a group goes on after its stream was deleted, or it was destroyed`(_ command: [String]) async throws {
        try await RedisServer.with { server in
            try await withBinder(server) { binder in
                let destination = try fresh()
                let keys = binder.keys(of: destination, partition: nil, group: nil)
                let group = try ConsumerGroup("workers")
                let events = EventCollector()
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(events: { events.add($0) })) {
                    deliveries in
                    for number in 0..<5 { _ = try await binder.publish(Envelope(text: "before \(number)"), to: destination) }
                    for _ in 0..<5 { try await deliveries.next()?.accept() }
                    let words = command.map { $0 == "STREAM" ? keys.stream : $0 }
                    try await server.command(["EVAL", "return redis.call(unpack(ARGV))", "0"] + words)
                    try await eventually(within: .seconds(20), "the group again") {
                        events.all.count >= 3 && binder.readiness.isReady
                    }
                    _ = try await binder.publish(Envelope(text: "after"), to: destination)
                    var texts: [String] = []
                    while texts.last != "after", let delivery = try await deliveries.next() {
                        texts.append(String(decoding: delivery.envelope.payload, as: UTF8.self))
                        try await delivery.accept()
                    }
                    #expect(texts.last == "after")
                }
            }
        }
    }

    @Test func `a frozen server is noticed, publishes fail without a claim, and all goes on when it thaws`() async throws {
        try await RedisServer.with { server in
            try await withBinder(
                server,
                {
                    $0.replyLimit = .seconds(2)
                    $0.publishLimit = .seconds(4)
                    $0.connectLimit = .seconds(2)
                }
            ) { binder in
                let destination = try fresh()
                let events = EventCollector()
                let reader = Task {
                    try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(events: { events.add($0) }))
                    {
                        deliveries in
                        var texts: [String] = []
                        while texts.last != "after", let delivery = try await deliveries.next() {
                            texts.append(String(decoding: delivery.envelope.payload, as: UTF8.self))
                            try await delivery.accept()
                        }
                        return texts
                    }
                }
                try await eventually(within: .seconds(10), "ready") { events.all == [.ready] }
                _ = try await binder.publish(Envelope(text: "before"), to: destination)
                try await server.pause()
                let frozen = ContinuousClock.now
                await #expect(
                    performing: { try await binder.publish(Envelope(text: "into the ice"), to: destination) },
                    throws: { error in
                        [.timedOut, .unreachable].contains((error as? BinderError)?.code)
                    })
                try await eventually(within: .seconds(20), "interrupted") { events.all.count >= 2 }
                #expect(!binder.readiness.isReady)
                try await Task.sleep(for: .seconds(20) - (ContinuousClock.now - frozen))  // as long as the freeze lasts
                server.resume()
                try await eventually(within: .seconds(20), "ready again") { binder.readiness.isReady && events.all.last == .resumed }
                _ = try await binder.publish(Envelope(text: "after"), to: destination)
                let texts = try await reader.value
                #expect(texts.first == "before" && texts.last == "after")
            }
        }
    }

    @Test func `a full server refuses publishers with a typed error while consumers go on, and takes events again`() async throws {
        try await RedisServer.with(["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"]) { server in
            try await withBinder(server) { binder in
                let destination = try fresh()
                let group = try ConsumerGroup("workers")
                try await binder.prepare(group: group, of: destination)
                var sent = 0
                var refusal: BinderError?
                while refusal == nil, sent < 10_000 {
                    do throws(BinderError) {
                        _ = try await binder.publish(Envelope(payload: Array(repeating: 7, count: 4096)), to: destination)
                        sent += 1
                    } catch { refusal = error }
                }
                #expect(refusal?.code == .blocked)
                #expect(refusal?.message.contains("OOM") == true)
                let total = sent
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 16)) { deliveries in
                    // One that fails meanwhile comes again, although the server has no room for its list of retries.
                    var failedOnce: String?
                    var done: Set<String> = []
                    while done.count < total, let delivery = try await deliveries.next() {
                        let id = delivery.envelope.id
                        if failedOnce == nil {
                            failedOnce = id
                            try? await delivery.retry(after: .milliseconds(50))
                            continue
                        }
                        done.insert(id)
                        try await delivery.accept()
                    }
                    #expect(failedOnce.map { done.contains($0) } == true)
                }
                try await server.command("CONFIG", "SET", "maxmemory", "64mb")
                _ = try await binder.publish(Envelope(text: "again"), to: destination)
            }
        }
    }

    @Test func `a hundred lost connections leave three sockets and no more memory`() async throws {
        try await RedisServer.with { server in
            try await withBinder(
                server,
                {
                    $0.backOff = .milliseconds(5)
                    $0.longestBackOff = .milliseconds(20)
                }
            ) { binder in
                let destination = try fresh()
                let group = try ConsumerGroup("workers")
                let events = EventCollector()
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(events: { events.add($0) })) {
                    deliveries in
                    // The subscription stands; the connection that publishes may still be on its way.
                    try await eventually(within: .seconds(20), "all is connected") { binder.readiness.isReady }
                    let before = try OwnProcess.connections(to: server.port).count
                    #expect(before == 3)
                    var memory = 0
                    var rounds = 0
                    while binder.connectionCount < 330, rounds < 1000 {
                        rounds += 1
                        try await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                        try await eventually(within: .seconds(20), "ready again") { binder.readiness.isReady && events.all.last != .ready }
                        if rounds == 30 { memory = try OwnProcess.memory() }
                    }
                    #expect(binder.connectionCount >= 300)
                    _ = try await binder.publish(Envelope(text: "still here"), to: destination)
                    let one = try await deliveries.next()?.take()
                    try await one?.settlement.settle(.accept)
                    #expect(one != nil)
                    #expect(try OwnProcess.connections(to: server.port).count == before)
                    #expect(try OwnProcess.memory() < memory + 20_000_000)
                    #expect(!events.all.contains(.gap))
                }
            }
        }
    }

    @Test func `a wrong password is told by name and tried once a second at most`() async throws {
        try await RedisServer.with(["--requirepass", "right"]) { server in
            let begin = ContinuousClock.now
            let pause = RedisConfiguration(addresses: []).refusedBackOff
            try await withBinder(server, { $0.password = "wrong" }) { binder in
                await #expect(
                    performing: { try await binder.publish(Envelope(text: "x"), to: try fresh()) },
                    throws: { ($0 as? BinderError)?.code == .refused })
                if case .waiting(let reason) = binder.readiness {
                    #expect(reason.contains("WRONGPASS") && !reason.contains("wrong "))
                } else {
                    Issue.record("ready with a wrong password")
                }
                try await Task.sleep(for: .seconds(3))  // the time in which attempts are counted
                let statistics = try await server.command("-a", "right", "--no-auth-warning", "INFO", "errorstats")
                let count = statistics.split(separator: "=").last.flatMap { Int($0.prefix { $0.isNumber }) } ?? 99
                // One for each pause that is over, however long the machine took for it.
                #expect((1...1 + Int((ContinuousClock.now - begin) / pause)).contains(count), "\(statistics)")
            }
            try await withBinder(server, { $0.password = "right" }) { binder in
                _ = try await binder.publish(Envelope(text: "x"), to: try fresh())
            }
        }
    }
}
