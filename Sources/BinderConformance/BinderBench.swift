package import Lifecycle
package import Locking
package import Streams

/// What a conformance case works with: a binder under test, and the names that only this case uses.
package struct BinderBench: Sendable {
    /// Running and ready.
    package let binder: any Binder
    /// Running, on the same broker; may be the same object where there is only one.
    package let peer: any Binder
    /// A new binder that is not running yet, on the same broker or one of its own; the case runs and ends it.
    package let fresh: @Sendable () async throws -> any Binder
    /// A payload of this many bytes is over the broker's or binder's limit.
    package let oversized: Int?
    package let times: BenchTimes
    package let variants: BinderVariants
    package let control: BrokerControl
    /// What the binder can do and this broker does not offer.
    package let lacking: BinderCapabilities
    private let prefix = "case-" + Identifier.random().prefix(8)
    private let made = Made()

    package init(
        binder: any Binder, peer: (any Binder)? = nil, oversized: Int? = nil, times: BenchTimes = BenchTimes(),
        variants: BinderVariants = BinderVariants(), control: BrokerControl = BrokerControl(), lacking: BinderCapabilities = [],
        fresh: @escaping @Sendable () async throws -> any Binder
    ) {
        self.binder = binder
        self.peer = peer ?? binder
        self.oversized = oversized
        self.times = times
        self.variants = variants
        self.control = control
        self.lacking = lacking
        self.fresh = fresh
    }

    package init(
        binder: any Binder, peer: (any Binder)? = nil, oversized: Int? = nil, patience: Duration,
        fresh: @escaping @Sendable () async throws -> any Binder
    ) {
        self.init(binder: binder, peer: peer, oversized: oversized, times: BenchTimes(patience: patience), fresh: fresh)
    }

    /// What the cases may expect here.
    package var capabilities: BinderCapabilities { binder.capabilities.subtracting(lacking) }
    package var patience: Duration { times.patience }

    package func destination(_ name: String = "d") throws -> Destination {
        let destination = try Destination("\(prefix).\(name)")
        made.add(destination)
        return destination
    }
    /// A group of that name that only this case has: on some brokers groups are known by their names alone.
    package func group(_ name: String = "g") throws -> ConsumerGroup { try group(exactly: "\(prefix).\(name)") }

    package func group(exactly name: String) throws -> ConsumerGroup {
        let group = try ConsumerGroup(name)
        made.add(group)
        return group
    }

    /// Removes from the broker what the case has made there, where the binder can.
    package func cleanUp() async {
        guard let remover = binder as? any DestinationRemoving else { return }
        let (destinations, groups) = made.all
        let all = Array(destinations)
        await withTaskGroup(of: Void.self) { tasks in
            for worker in 0..<8 {
                tasks.addTask {
                    for index in stride(from: worker, to: all.count, by: 8) {
                        for group in groups { try? await remover.remove(group: group, of: all[index]) }
                        try? await remover.remove(all[index])
                    }
                }
            }
        }
    }

    /// Runs a fresh binder around `body`, which gets its shutdown signal; returns when the binder's `run` has ended too.
    package func withFresh<R: Sendable>(_ body: @escaping @Sendable (any Binder, ShutdownSignal) async throws -> R) async throws -> R {
        let binder = try await fresh()
        let shutdown = ShutdownSignal()
        return try await Self.withRunning(binder, shutdown: shutdown) { try await body(binder, shutdown) }
    }

    /// Runs a binder around `body`, which gets it, and ends it in order.
    package static func withBinder<B: Binder, R: Sendable>(_ binder: B, _ body: @escaping @Sendable (B) async throws -> R) async throws -> R
    {
        try await withRunning(binder) { try await body(binder) }
    }

    /// Runs a binder around `body` and ends it in order.
    package static func withRunning<R: Sendable>(
        _ binder: any Binder, shutdown: ShutdownSignal = ShutdownSignal(), _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        try await withService(binder, shutdown: shutdown, body)
    }

    /// Runs a service around `body`, which starts when the service has, and ends it in order.
    package static func withService<R: Sendable>(
        _ service: any Service, shutdown: ShutdownSignal = ShutdownSignal(), _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        let started = ShutdownSignal()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { started.request() }
                try await service.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() }))
            }
            await started.wait()
            let result: R
            do { result = try await body() } catch {
                shutdown.request()
                group.cancelAll()
                throw error
            }
            shutdown.request()
            try await group.waitForAll()
            return result
        }
    }
}

/// What a case has named, to be removed when it has ended.
private final class Made: Sendable {
    private let made = Locked<(destinations: Set<Destination>, groups: Set<ConsumerGroup>)>(([], []))
    var all: (Set<Destination>, Set<ConsumerGroup>) { made.withLock { ($0.destinations, $0.groups) } }
    func add(_ destination: Destination) { made.withLock { _ = $0.destinations.insert(destination) } }
    func add(_ group: ConsumerGroup) { made.withLock { _ = $0.groups.insert(group) } }
}

/// A delivery as a value, after it was settled.
package struct Seen: Sendable, Hashable {
    package let envelope: Envelope
    package let attempt: Int
    package let position: String?
    package let member: Int

    package init(envelope: Envelope, attempt: Int, position: String? = nil, member: Int = 0) {
        self.envelope = envelope
        self.attempt = attempt
        self.position = position
        self.member = member
    }

    package var text: String { String(decoding: envelope.payload, as: UTF8.self) }
}

/// Collects what several members have seen.
package final class Collector: Sendable {
    private let seen = Locked<[Seen]>([])
    package init() {}
    package var all: [Seen] { seen.withLock { $0 } }
    package var count: Int { seen.withLock { $0.count } }
    package var texts: [String] { all.map(\.text) }
    package func add(_ one: Seen) { seen.withLock { $0.append(one) } }
}

/// What a case found wrong.
package struct CaseFailed: Error, CustomStringConvertible {
    package let description: String
    package init(description: String) { self.description = description }
}

package func demand(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    if !condition { throw CaseFailed(description: message()) }
}

package func demandEqual<T: Equatable>(_ left: T, _ right: T, _ what: @autoclosure () -> String) throws {
    if left != right {
        throw CaseFailed(description: "\(what()): \(String("\(left)".prefix(300))) is not \(String("\(right)".prefix(300)))")
    }
}

/// For lists: how many there are, and where they differ first.
package func demandEqual<T: Equatable>(_ left: [T], _ right: [T], _ what: @autoclosure () -> String) throws {
    guard left != right else { return }
    func shown(_ values: [T], _ index: Int) -> String { index < values.count ? String("\(values[index])".prefix(80)) : "nothing" }
    let index = zip(left, right).enumerated().first { $1.0 != $1.1 }?.offset ?? min(left.count, right.count)
    let brief = left.count + right.count <= 20 && "\(left)\(right)".count <= 600
    throw CaseFailed(
        description: brief
            ? "\(what()): \(left) is not \(right)"
            : "\(what()): \(left.count) where \(right.count) are expected; number \(index + 1) is \(shown(left, index)), not \(shown(right, index))"
    )
}

/// Fails when `body` takes longer than `limit`.
package func within<R: Sendable>(_ limit: Duration, _ what: String, _ body: @escaping @Sendable () async throws -> R) async throws -> R {
    guard let result = try await withTimeLimit(limit, body) else { throw NotInTime(what: what, limit: limit) }
    return result
}

extension BinderBench {
    package func send(_ texts: [String], to destination: Destination, key: String? = nil, by binder: (any Binder)? = nil) async throws {
        for text in texts { _ = try await (binder ?? self.binder).publish(Envelope(text: text, key: key), to: destination) }
    }

    /// Runs `members` subscriptions that accept everything while `body` runs, which starts when all are ready; ends them when it returns.
    package func withMembers<R: Sendable>(
        _ members: Int = 1, of destination: Destination, group: ConsumerGroup?, prefetch: Int = 32, start: StartPosition = .latest,
        binder: (any Binder)? = nil, _ body: @escaping @Sendable (Collector) async throws -> R
    ) async throws -> R {
        let collector = Collector()
        let ready = Locked(0)
        let box = Counter(ready)
        let failure = FirstFailure()
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            for member in 0..<members {
                let binder = binder ?? (member.isMultiple(of: 2) ? self.binder : peer)
                tasks.addTask {
                    let options = SubscriptionOptions(prefetch: prefetch, start: start) { event in if event == .ready { box.add() } }
                    do {
                        try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                            while let delivery = try await deliveries.next() {
                                let seen = Seen(
                                    envelope: delivery.envelope, attempt: delivery.attempt, position: delivery.position, member: member)
                                collector.add(seen)
                                try await delivery.accept()
                            }
                        }
                    } catch let error as BinderError where error.code == .cancelled {
                    } catch is CancellationError {} catch {
                        failure.keep(error)
                        throw error
                    }
                }
            }
            try await eventually(within: patience, "\(members) ready members of \(destination)") {
                try failure.check()  // a member that was refused will never be ready
                return box.value == members
            }
            let result = try await body(collector)
            tasks.cancelAll()
            try await tasks.waitForAll()
            return result
        }
    }

    /// The texts that one member of the group gets, in order, until there are `count`.
    package func receive(
        _ count: Int, from destination: Destination, group: ConsumerGroup?, start: StartPosition = .latest, binder: (any Binder)? = nil
    ) async throws -> [Seen] {
        try await withMembers(1, of: destination, group: group, start: start, binder: binder) { collector in
            try await eventually(within: patience, "\(count) deliveries of \(destination)") { collector.count >= count }
            return collector.all
        }
    }
}

package final class Counter: Sendable {
    private let number: Locked<Int>
    package init(_ number: consuming sending Locked<Int> = Locked(0)) { self.number = number }
    package var value: Int { number.withLock { $0 } }
    package func add(_ amount: Int = 1) { number.withLock { $0 += amount } }
    package func set(_ value: Int) { number.withLock { $0 = value } }
}

/// Hands an error from one task to another that waits for something else.
final class FirstFailure: Sendable {
    private let error = Locked<(any Error)?>(nil)
    func keep(_ one: any Error) { error.withLock { $0 = $0 ?? one } }
    func check() throws { if let error = error.withLock({ $0 }) { throw error } }
}

/// Collects what a subscription is told of its connection.
package final class EventCollector: Sendable {
    private let events = Locked<[SubscriptionEvent]>([])
    package init() {}
    package var all: [SubscriptionEvent] { events.withLock { $0 } }
    package func add(_ event: SubscriptionEvent) { events.withLock { $0.append(event) } }
}
