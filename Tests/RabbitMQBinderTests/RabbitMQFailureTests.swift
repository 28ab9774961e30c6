import Foundation
import Lifecycle
import Streams
import TestSupport
import Testing

@testable import RabbitMQBinder

/// These stop, freeze and starve their broker: one after the other, on one that nobody else uses.
@Suite(.serialized, .enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"), .timeLimit(.minutes(5)))
struct RabbitMQFailureTests {
    private func server() async throws -> RabbitMQServer { try await .shared("failures") }

    @Test func `a broker killed twice among 10,000 confirmed publishes loses none of them`() async throws {
        let server = try await server()
        try await withBinder(server, { $0.longestBackOff = .milliseconds(500) }) { binder in
            let load = try ConfirmedLoad(binder, readyWithin: .seconds(20), limit: .seconds(60))
            try await load.run(troubledAt: [1.0 / 3, 2.0 / 3], subscribed: { try await server.writeDeclarations() }) {
                try await server.kill()
                try await server.start()
            }
            #expect(load.confirmed.now.count == 10_000)
            #expect(load.failed.now > 0)  // the kill came while publishes were under way
            #expect(load.events.all.filter { $0 == .resumed }.count == 2)
        }
    }

    @Test func `a binder whose broker is absent starts, waits, and serves when it comes`() async throws {
        let server = try await server()
        try await server.stop()
        var configuration = try RabbitMQConfiguration(uri: server.uri)
        configuration.backOff = .milliseconds(50)
        configuration.longestBackOff = .milliseconds(300)
        let binder = RabbitMQBinder(configuration: configuration)
        #expect(try await AbsentBroker.firstEvent(of: binder, within: .seconds(5)) { try await server.start() } == "at last")
    }

    @Test func `a broker that is frozen is noticed within two heartbeats, and publishes fail without a claim`() async throws {
        let server = try await server()
        try await withBinder(
            server,
            {
                $0.heartbeat = .seconds(2)
                $0.publishLimit = .seconds(3)
                $0.connectLimit = .seconds(2)
                $0.longestBackOff = .milliseconds(300)
            }
        ) { binder in
            let destination = try fresh()
            let events = EventCollector()
            let reader = Task {
                try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(events: { events.add($0) })) {
                    deliveries in
                    while let delivery = try await deliveries.next() {
                        let text = String(decoding: delivery.envelope.payload, as: UTF8.self)
                        try? await delivery.accept()
                        if text == "after" { return }
                    }
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
            try await eventually(within: .seconds(10), "interrupted") { events.all.count >= 2 }
            #expect(ContinuousClock.now - frozen < .seconds(6))
            #expect(!binder.readiness.isReady)
            try await server.resume()
            try await eventually(within: .seconds(20), "ready again") { binder.readiness.isReady && events.all.last == .gap }
            _ = try await binder.publish(Envelope(text: "after"), to: destination)
            try await reader.value
        }
    }

    @Test func `under a memory alarm publishers are told so in time, and consumers go on`() async throws {
        let server = try await server()
        try await withBinder(server, { $0.publishLimit = .seconds(2) }) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("workers")
            try await binder.prepare(group: group, of: destination)
            for number in 0..<10 { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) }
            try await server.control("set_vm_memory_high_watermark", "0")
            var codes: [BinderError.Code] = []
            for _ in 0..<2 {
                do throws(BinderError) { _ = try await binder.publish(Envelope(text: "more"), to: destination) } catch {
                    codes.append(error.code)
                }
            }
            // The first one is on its way when the alarm is told: whether it arrived is not known.
            #expect(codes.last == .blocked)
            #expect(codes.allSatisfy { [.blocked, .timedOut].contains($0) })
            if case .waiting(let reason) = binder.readiness { #expect(reason.contains("memory")) } else { Issue.record("still ready") }
            var texts: Set<String> = []
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 4)) { deliveries in
                while texts.count < 10, let delivery = try await deliveries.next() {
                    texts.insert(String(decoding: delivery.envelope.payload, as: UTF8.self))
                    try await delivery.accept()
                }
            }
            #expect(texts == Set((0..<10).map(String.init)))
            try await server.control("set_vm_memory_high_watermark", "0.4")
            try await eventually(within: .seconds(10), "ready again") { binder.readiness.isReady }
            _ = try await binder.publish(Envelope(text: "again"), to: destination)
        }
    }

    @Test func `a queue deleted under its consumer is declared again, and the gap is told`() async throws {
        let server = try await server()
        try await withBinder(server) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("workers")
            let events = EventCollector()
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(events: { events.add($0) })) {
                deliveries in
                try await server.control("delete_queue", "\(destination.name).workers")
                try await eventually(within: .seconds(10), "declared again") { events.all.count == 3 }
                guard case .interrupted = events.all[1] else { throw AMQPFailure(.broken, "\(events.all)") }
                #expect(events.all[2] == .gap)
                _ = try await binder.publish(Envelope(text: "still here"), to: destination)
                let text = try await deliveries.next()?.take()
                #expect(text.map { String(decoding: $0.envelope.payload, as: UTF8.self) } == "still here")
                try await text?.settlement.settle(.accept)
            }
        }
    }

    @Test func `a hundred lost connections leave two sockets, and a fresh anonymous queue each time`() async throws {
        let server = try await server()
        try await withBinder(
            server,
            {
                $0.backOff = .milliseconds(5)
                $0.longestBackOff = .milliseconds(20)
            }
        ) { binder in
            let destination = try fresh()
            let events = EventCollector()
            try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(events: { events.add($0) })) {
                deliveries in
                let before = try OwnProcess.connections(to: server.port).count
                let memory = try OwnProcess.memory()
                let names = try await server.control("list_queues", "name")
                try await server.control(
                    "eval",
                    "[begin [catch rabbit_networking:close_connection(P, \"test\") || P <- rabbit_networking:connections()], timer:sleep(60) end || _ <- lists:seq(1,110)], ok."
                )
                try await eventually(within: .seconds(20), "ready again") { binder.readiness.isReady && binder.connectionCount > 100 }
                _ = try await binder.publish(Envelope(text: "still here"), to: destination)
                let one = try await deliveries.next()?.take()
                try await one?.settlement.settle(.accept)
                #expect(events.all.filter { $0 == .gap }.count >= 50)
                #expect(try OwnProcess.connections(to: server.port).count == before)
                #expect(before == 2)
                // A connection that is not given back keeps 300 KB of buffers: 200 of them would be 60 MB.
                try await eventually(within: .seconds(60), "the memory of the lost connections is free") {
                    try OwnProcess.memory() < memory + 40_000_000
                }
                let after = try await server.control("list_queues", "name")
                let prefix = "\(destination.name).anonymous."
                let old = names.split(separator: "\n").filter { $0.hasPrefix(prefix) }
                let new = after.split(separator: "\n").filter { $0.hasPrefix(prefix) }
                #expect(old.count == 1 && new.count == 1 && old != new)
            }
        }
    }
}
