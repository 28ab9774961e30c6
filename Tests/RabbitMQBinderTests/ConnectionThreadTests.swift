import Foundation
import Lifecycle
import Locking
import Streams
import Synchronization
import Telemetry
import TestSupport
import ThreadExecutor
import Testing

@testable import RabbitMQBinder

/// What is handed to a connection's thread in its last moment.
@Suite(.timeLimit(.minutes(4)))
struct ConnectionThreadTests {
    /// A role whose first turn is held up, after it looked for commands, until the end has been asked for.
    private final class Held: ConnectionRole {
        let purpose = "held"
        let wakeUp = WakeUp()
        let looked = ShutdownSignal()
        private let commands = Locked<[String]>([])
        private let done = Locked<[String]>([])
        private let turns = Atomic<Int>(0)

        var told: [String] { done.withLock { $0 } }
        func command(_ text: String) { commands.withLock { $0.append(text) } }

        func work(_ connection: AMQPConnection?, ending: Bool) throws(AMQPFailure) -> Bool {
            let taken = commands.withLock { commands in
                defer { commands = [] }
                return commands
            }
            done.withLock { $0 += taken }
            if turns.wrappingAdd(1, ordering: .relaxed).oldValue == 0 {
                #expect(wakeUp.maySleep())
                looked.request()
                // The end is asked for: that is what calls the descriptor.
                var descriptor = pollfd(fd: wakeUp.descriptor, events: Int16(POLLIN), revents: 0)
                let called = poll(&descriptor, 1, 60_000)
                #expect(called == 1)
                wakeUp.clear()
            }
            return false
        }
        func connected(_ connection: AMQPConnection) throws(AMQPFailure) {}
        func received(_ event: AMQPEvent, on connection: AMQPConnection) throws(AMQPFailure) {}
        func receivedAll(on connection: AMQPConnection) throws(AMQPFailure) {}
        func lost(_ failure: AMQPFailure) {}
        var hasDeadlines: Bool { false }
        var wakeAt: UInt64? { nil }
        func ended() {}
    }

    @Test func `a command handed over between the last look for commands and the end is still carried out`() async throws {
        let role = Held()
        let thread = ConnectionThread(
            RabbitMQConfiguration(addresses: [.init(host: "127.0.0.1", port: freePort())]), role: role, log: .silent)
        thread.start()
        await role.looked.wait()
        role.command("accept")
        await thread.end()
        #expect(role.told == ["accept"])
    }
}

@Suite(.enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"), .timeLimit(.minutes(6)))
struct ShortSubscriptionTests {
    @Test func `what 200 short subscriptions accepted in their last moment comes no more`() async throws {
        let server = try await RabbitMQServer.shared()
        let destination = try fresh()
        let group = try ConsumerGroup("g")
        try await withBinder(server) { binder in
            try await binder.prepare(group: group, of: destination)
            let count = 200
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for number in 0..<count {
                    tasks.addTask { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) }
                }
                try await tasks.waitForAll()
            }
            let accepted = Tally<[String: Int]>([:])
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for _ in 0..<4 {
                    tasks.addTask {
                        for _ in 0..<(count / 4) {
                            let options = SubscriptionOptions(prefetch: 1)
                            try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                                guard let delivery = try await deliveries.next() else { return }
                                let text = String(decoding: delivery.envelope.payload, as: UTF8.self)
                                try await delivery.accept()
                                accepted.change { $0[text, default: 0] += 1 }
                            }
                        }
                    }
                }
                while try await tasks.next() != nil {}
            }
            #expect(accepted.now.count == count && accepted.now.values.allSatisfy { $0 == 1 })
        }
        let left = try await RawAMQP.with(server.uri) {
            try $0.declareQueue("\(destination.name).g", durable: true, passive: true).ready
        }
        #expect(left == 0)
    }

    @Test func `case C5 holds fifty times in a row`() async throws {
        let ready = try RabbitMQConfiguration(uri: try await RabbitMQServer.shared().uri)
        let one = try #require(BinderCases.all.first { $0.id == "C5" })
        let binder = RabbitMQBinder(configuration: ready)
        try await BinderBench.withRunning(binder) {
            for _ in 0..<50 {
                try await one.run(BinderBench(binder: binder, patience: .seconds(30)) { RabbitMQBinder(configuration: ready) })
            }
        }
    }
}
