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
    private let readyLimit: Duration
    private let limit: Duration
    private static let publishers = 50

    /// `limit`: for each part to be confirmed, and for all to be received.
    package init(_ binder: any Binder, count: Int = 10_000, readyWithin readyLimit: Duration, limit: Duration) throws {
        self.binder = binder
        self.readyLimit = readyLimit
        self.limit = limit
        self.count = count
        destination = try fresh()
        group = try ConsumerGroup("workers")
    }

    /// Publishes and receives, and makes `trouble` when each of these parts of the events is confirmed; returns when all that was confirmed was
    /// received. `subscribed` is called before the first publish.
    package func run(
        troubledAt parts: [Double], subscribed: () async throws -> Void = {}, _ trouble: () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await receive() }
            try await eventually(within: readyLimit, "ready") { events.all.contains(.ready) }
            try await subscribed()
            let publishing = Task { try await publish() }
            for part in parts {
                let wanted = Int(Double(count) * part)
                try await eventually(within: limit, "\(wanted) events confirmed") { confirmed.now.count >= wanted }
                try await trouble()
            }
            try await publishing.value
            try await eventually(within: limit, "all confirmed events received") { confirmed.now.isSubset(of: received.now) }
            tasks.cancelAll()
        }
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
