package import BinderConformance
package import Streams

/// Events that many tasks publish, each again until it is confirmed, and a group that receives them: the trial of a broker that is killed meanwhile.
package struct ConfirmedLoad: Sendable {
    package let destination: Destination
    package let group: ConsumerGroup
    /// Ids of the events that are confirmed.
    package let confirmed = Tally<Set<String>>([])
    /// Ids of the events that the group has received.
    package let received = Tally<Set<String>>([])
    /// Publishes that were not confirmed and were tried again.
    package let failed = Tally(0)
    /// What the subscription was told.
    package let events = EventCollector()
    /// How many events there are.
    package let count: Int
    private let binder: any Binder
    private static let publishers = 50

    package init(_ binder: any Binder, count: Int = 10_000) throws {
        self.binder = binder
        self.count = count
        destination = try fresh()
        group = try ConsumerGroup("workers")
    }

    /// Publishes and receives, `trouble` beside it; returns when all that was confirmed was received.
    package func run(_ trouble: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await receive() }
            try await eventually(within: .seconds(60), "ready") { events.all.contains(.ready) }
            let publishing = Task { try await publish() }
            try await trouble()
            try await publishing.value
            try await eventually(within: .seconds(90), "all confirmed events received") { confirmed.now.isSubset(of: received.now) }
            tasks.cancelAll()
        }
    }

    /// Runs `body` when this part of the events is confirmed.
    package func at(_ part: Double, _ body: () async throws -> Void) async throws {
        let wanted = Int(Double(count) * part)
        try await eventually(within: .seconds(90), "\(wanted) events confirmed") { confirmed.now.count >= wanted }
        try await body()
    }

    private func receive() async throws {
        let options = SubscriptionOptions(prefetch: 250, events: { [events] in events.add($0) })
        try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
            while let delivery = try await deliveries.next() {
                let id = delivery.envelope.id
                // What is no longer ours comes again: that is what this counts on.
                try? await delivery.accept()
                received.change { $0.insert(id) }
            }
        }
    }

    private func publish() async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for publisher in 0..<Self.publishers {
                tasks.addTask {
                    for number in 0..<(count / Self.publishers) { try await publish("\(publisher)-\(number)") }
                }
            }
            try await tasks.waitForAll()
        }
    }

    private func publish(_ text: String) async throws(BinderError) {
        while true {
            do throws(BinderError) {
                let receipt = try await binder.publish(Envelope(text: text), to: destination)
                return confirmed.change { $0.insert(receipt.id) }
            } catch {
                guard error.isRetriable else { throw error }
                failed.change { $0 += 1 }
            }
        }
    }
}
