import Foundation
import Lifecycle
import Streams
import TestSupport
import Testing

@testable import KafkaBinder

/// These stop and freeze their broker: one after the other, on one that nobody else uses.
@Suite(.serialized, .enabled(if: KafkaServer.canStart, "\(KafkaServer.whyNot)"), .timeLimit(.minutes(5)))
struct KafkaFailureTests {
    private func server() async throws -> KafkaServer { try await .shared("failures") }

    @Test func `a broker killed twice among 10,000 confirmed publishes loses none of them`() async throws {
        let server = try await server()
        try await withBinder(server) { binder in
            let load = try ConfirmedLoad(binder, readyWithin: .seconds(60), limit: .seconds(90))
            try await load.run(troubledAt: [1.0 / 3, 2.0 / 3]) {
                try await server.kill()
                try await server.start()
            }
            #expect(load.confirmed.now.count == 10_000)
            // The library tells of a lost broker only when it finds none for a while: a quick return may pass without a word.
            let events = load.events.all
            let interruptions = events.filter { if case .interrupted = $0 { true } else { false } }
            #expect(events.filter { $0 == .resumed }.count == interruptions.count && !events.contains(.gap))
        }
    }

    @Test func `a binder whose broker is absent starts, waits, and serves when it comes`() async throws {
        let server = try await server()
        try await server.stop()
        let binder = KafkaBinder(configuration: try configuration(server))
        #expect(try await AbsentBroker.firstEvent(of: binder, within: .seconds(60)) { try await server.start() } == "at last")
    }

    @Test func `a broker that is frozen for 20 seconds is noticed, publishes fail without a claim, and nothing is lost`() async throws {
        let server = try await server()
        try await withBinder(
            server,
            {
                $0.requestLimit = .seconds(3)
                $0.publishLimit = .seconds(5)
            }
        ) { binder in
            let destination = try fresh()
            let events = EventCollector()
            let texts = Tally<[String]>([])
            let reader = Task {
                try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(events: { events.add($0) })) {
                    deliveries in
                    while let delivery = try await deliveries.next() {
                        let text = String(decoding: delivery.envelope.payload, as: UTF8.self)
                        try? await delivery.accept()
                        texts.change { $0.append(text) }
                        if text == "after" { return }
                    }
                }
            }
            try await eventually(within: .seconds(60), "ready") { events.all == [.ready] }
            _ = try await binder.publish(Envelope(text: "before"), to: destination)
            try await server.pause()
            let frozen = ContinuousClock.now
            await #expect(
                performing: { try await binder.publish(Envelope(text: "into the ice"), to: destination) },
                throws: { error in [.timedOut, .unreachable].contains((error as? BinderError)?.code) })
            try await eventually(within: .seconds(60), "interrupted") { events.all.count >= 2 }
            #expect(ContinuousClock.now - frozen < .seconds(12))
            try await eventually(within: .seconds(60), "not ready") { !binder.readiness.isReady }
            try await Task.sleep(until: frozen + .seconds(20), clock: .continuous)  // how long it is frozen
            server.resume()
            try await eventually(within: .seconds(40), "ready again") { binder.readiness.isReady && events.all.last == .resumed }
            _ = try await binder.publish(Envelope(text: "after"), to: destination)
            try await reader.value
            #expect(texts.now.first == "before" && texts.now.last == "after")
        }
    }

    @Test func `with a full buffer publishers wait and are told in time, and consumers go on`() async throws {
        let server = try await server()
        try await withBinder(
            server,
            {
                $0.inFlight = 10
                $0.waiting = 20
                $0.publishLimit = .seconds(4)
                $0.requestLimit = .seconds(2)
            }
        ) { binder in
            let (destination, group) = (try fresh(), try ConsumerGroup("g"))
            try await binder.prepare(group: group, of: destination)
            // More than the buffer holds go through while the broker takes them.
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for number in 0..<30 { tasks.addTask { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) } }
                while try await tasks.next() != nil {}
            }
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 30)) { deliveries in
                var held: [ReceivedEnvelope] = []
                while held.count < 15, let one = try await deliveries.next() { held.append(one.take()) }
                try await server.pause()
                defer { server.resume() }
                let frozen = ContinuousClock.now
                let codes = await withTaskGroup(of: BinderError.Code?.self) { tasks in
                    for number in 0..<60 {
                        tasks.addTask {
                            do throws(BinderError) {
                                _ = try await binder.publish(Envelope(text: "more \(number)"), to: destination)
                                return nil
                            } catch { return error.code }
                        }
                    }
                    return await tasks.reduce(into: [BinderError.Code]()) { if let code = $1 { $0.append(code) } }
                }
                #expect(ContinuousClock.now - frozen < .seconds(20), "everybody is told within the limit and what is under way before him")
                #expect(codes.count == 60)
                #expect(codes.filter { $0 == .blocked }.count >= 30)
                #expect(codes.allSatisfy { [.blocked, .timedOut, .unreachable].contains($0) })
                // What was fetched before is handed out meanwhile.
                let enough = ShutdownSignal()
                async let limit: Void = {
                    await enough.wait(atMost: .seconds(20))
                    enough.request()
                }()
                while held.count < 30, let one = try await deliveries.next(until: enough) { held.append(one.take()) }
                #expect(held.count == 30)
                enough.request()
                await limit
                server.resume()
                for one in held { try await one.settlement.settle(.accept) }
            }
            try await eventually(within: .seconds(60), "a broker that takes events again") {
                (try? await binder.publish(Envelope(text: "again"), to: destination)) != nil
            }
        }
    }

    @Test func `a topic deleted under its subscriptions is made again, and its members go on`() async throws {
        let server = try await server()
        try await withBinder(server, { $0.metadataInterval = .milliseconds(500) }) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("g")
            let (broadcast, shared) = (Collector(), Collector())
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                let ready = Counter()
                for (group, collector) in [(nil, broadcast), (group, shared)] as [(ConsumerGroup?, Collector)] {
                    tasks.addTask {
                        let options = SubscriptionOptions(events: { if $0 == .ready { ready.add() } })
                        try? await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                            while let delivery = try await deliveries.next() {
                                collector.add(Seen(envelope: delivery.envelope, attempt: delivery.attempt))
                                try await delivery.accept()
                            }
                        }
                    }
                }
                try await eventually(within: .seconds(60), "ready") { ready.value == 2 }
                _ = try await binder.publish(Envelope(text: "before"), to: destination)
                try await eventually(within: .seconds(60), "before") { broadcast.count == 1 && shared.count == 1 }
                try await server.tool("topics", "--delete", "--topic", destination.name)
                try await eventually(within: .seconds(60), "after, at both") {
                    _ = try? await binder.publish(Envelope(text: "after"), to: destination)
                    return broadcast.texts.contains("after") && shared.texts.contains("after")
                }
                tasks.cancelAll()
            }
        }
    }

    @Test func `a hundred lost connections leave descriptors and memory as they were`() async throws {
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
                _ = try await binder.publish(Envelope(text: "before"), to: destination)
                let one = try await deliveries.next()?.take()
                try await one?.settlement.settle(.accept)
                let descriptors = try OwnProcess.descriptors().count
                let memory = try OwnProcess.memory()
                for round in 1...100 {
                    let cut = try OwnProcess.cutConnections(to: server.port)
                    #expect(cut > 0, "round \(round)")
                    try await eventually(within: .seconds(60), "connected again in round \(round)") {
                        try OwnProcess.connections(to: server.port, established: true).count >= 2
                    }
                }
                try await eventually(within: .seconds(60), "ready again") { binder.readiness.isReady }
                _ = try await binder.publish(Envelope(text: "after"), to: destination)
                let last = try await deliveries.next()?.take()
                #expect(last.map { String(decoding: $0.envelope.payload, as: UTF8.self) } == "after")
                try await last?.settlement.settle(.accept)
                try await eventually(within: .seconds(60), "as many descriptors as before: \(descriptors)") {
                    try OwnProcess.descriptors().count <= descriptors + 4
                }
                #expect(try OwnProcess.memory() < memory + 64 << 20)
            }
        }
    }

    @Test func `twenty members that come and go cost no event`() async throws {
        let server = try await server()
        try await withBinder(server, { $0.defaultPartitions = 3 }) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("g")
            try await binder.prepare(group: group, of: destination)
            let collector = Collector()
            @Sendable func member(until end: ShutdownSignal) async throws {
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 8)) { deliveries in
                    while let delivery = try await deliveries.next(until: end) {
                        collector.add(Seen(envelope: delivery.envelope, attempt: delivery.attempt))
                        try? await delivery.accept()
                    }
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                let end = ShutdownSignal()
                tasks.addTask { try await member(until: end) }
                tasks.addTask {
                    for number in 0..<2000 { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) }
                }
                for _ in 0..<20 {
                    let leave = ShutdownSignal()
                    let before = collector.count
                    tasks.addTask { try await member(until: leave) }
                    try await eventually(within: .seconds(60), "more events") {
                        collector.count > before || Set(collector.texts).count == 2000
                    }
                    leave.request()
                }
                try await eventually(within: .seconds(60), "2,000 events") { Set(collector.texts).count == 2000 }
                end.request()
                while try await tasks.next() != nil {}
            }
            // Handed over in order, nothing is done twice either.
            #expect(collector.count == 2000)
        }
    }

    @Test func `a wrong password is refused at once, asked for rarely, and never told`() async throws {
        let jaas =
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" password=\"secret\" user_admin=\"secret\" user_alice=\"wonder\";"
        try await KafkaServer.with(settings: [
            "listener.security.protocol.map=PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT", "sasl.enabled.mechanisms=PLAIN",
            "sasl.mechanism.inter.broker.protocol=PLAIN", "listener.name.plaintext.plain.sasl.jaas.config=\(jaas)",
        ]) { server in
            let destination = try fresh()
            var wrong = try KafkaConfiguration(uri: "kafka://alice:no%20wonder@\(server.bootstrap)")
            wrong.publishLimit = .seconds(10)
            try await running(KafkaBinder(configuration: wrong)) { binder in
                let error = await #expect(throws: BinderError.self) { try await binder.publish(Envelope(text: "x"), to: destination) }
                #expect(error?.code == .refused && error?.message.contains("no wonder") == false)
                guard case .waiting(let reason) = binder.readiness else {
                    Issue.record("ready with a wrong password")
                    return
                }
                #expect(!reason.isEmpty && !reason.contains("no wonder"))
            }
            let right = try KafkaConfiguration(uri: "kafka://alice:wonder@\(server.bootstrap)")
            try await running(KafkaBinder(configuration: right)) { binder in
                try await binder.withSubscription(to: destination, group: try ConsumerGroup("g"), options: SubscriptionOptions()) {
                    deliveries in
                    _ = try await binder.publish(Envelope(text: "x"), to: destination)
                    let one = try await deliveries.next()
                    try await one?.accept()
                }
            }
        }
    }
}
