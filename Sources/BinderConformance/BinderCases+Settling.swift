internal import Lifecycle
package import Locking
package import Streams

extension BinderCases {
    package static let settling: [BinderCase] = [
        BinderCase("C1", "with a prefetch of one nothing comes while a delivery is in hand") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["first", "second"], to: destination)
            let collector = Collector()
            let inHand = Locked<ReceivedEnvelope?>(nil)
            let held = Held(inHand)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    try await bench.binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 1)) {
                        deliveries in
                        guard let first = try await deliveries.next() else { return }
                        held.put(first.take())
                        guard let second = try await deliveries.next() else { return }
                        collector.add(Seen(envelope: second.envelope, attempt: second.attempt, position: nil, member: 0))
                        try await second.accept()
                    }
                }
                try await eventually(within: bench.patience, "the first delivery") { held.isFull }
                try await throughout(.milliseconds(200), "no delivery while one is in hand") { collector.texts.isEmpty }
                try await held.take()?.settlement.settle(.accept)
                try await tasks.waitForAll()
            }
            try demandEqual(collector.texts, ["second"], "texts after it was settled")
        },
        BinderCase("C2", "a delivery that is handed back comes again with a higher attempt") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["x"], to: destination)
            let attempts = try await bench.handle(4, of: destination, group: group) { delivery, count in
                switch count {
                case 0: try await delivery.retry()
                case 1: _ = consume delivery  // dropped unsettled
                case 2: try await delivery.retry(after: .milliseconds(20))
                default: try await delivery.accept()
                }
            }
            try demandEqual(attempts.first?.attempt, 1, "first attempt")
            try demand(attempts.dropFirst().allSatisfy { $0.attempt >= 2 }, "attempts are \(attempts.map(\.attempt))")
            try demandEqual(Set(attempts.map(\.envelope.id)).count, 1, "ids")
        },
        BinderCase("C3", "an event that fails twice and then succeeds is done once, after the delays asked for") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["x"], to: destination)
            let times = Locked<[ContinuousClock.Instant]>([])
            let log = Times(times)
            _ = try await bench.handle(3, of: destination, group: group) { delivery, count in
                log.add()
                if count < 2 { try await delivery.retry(after: .milliseconds(200 * (count + 1))) } else { try await delivery.accept() }
            }
            let gaps = log.gaps
            try demandEqual(gaps.count, 2, "gaps")
            try demand(gaps[0] >= .milliseconds(195) && gaps[1] >= .milliseconds(395), "retries came after \(gaps)")
            // The same by a handler that fails: in its hands all the while, with growing pauses.
            let calls = Times(Locked([]))
            let done = Counter()
            let retry = RetryPolicy(attempts: 3, initialPause: .milliseconds(100))
            let consumer = Consumer(destination: destination, group: group, options: Consumer.Options(retry: retry)) { event in
                calls.add()
                if event.call < 3 { throw CaseFailed(description: "not yet") }
                done.add()
            }
            try await bench.withConsumer(consumer) {
                try await bench.send(["y"], to: destination)
                try await eventually(within: bench.patience, "the third call") { done.value >= 1 }
            }
            try demandEqual(done.value, 1, "successes")
            try demandEqual(calls.gaps.count, 2, "calls behind the first")
            try demand(
                calls.gaps[0] >= .milliseconds(95) && calls.gaps[1] >= .milliseconds(195),
                "the handler was called again after \(calls.gaps)")
            try await bench.demandEmpty(destination, group)
        },
        BinderCase(
            "C4", "an event that was rejected is a dead letter with its payload, headers and reason, and comes no more",
            needs: .nativeDeadLetters
        ) {
            bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let sent = Envelope(text: "poison", headers: ["kept": "yes"], key: "k")
            let calls = Counter()
            struct Poison: Error, CustomStringConvertible { let description = "no good" }
            let retry = RetryPolicy(attempts: 3, initialPause: .milliseconds(20))
            let consumer = Consumer(destination: destination, group: group, options: Consumer.Options(retry: retry)) { _ in
                calls.add()
                throw Poison()
            }
            let keeper = try bench.demandKeeper()
            try await bench.withConsumer(consumer) {
                _ = try await bench.binder.publish(sent, to: destination)
                try await eventually(within: bench.patience, "the dead letter") {
                    guard calls.value >= 3 else { return false }
                    return try await keeper.deadLetters(of: destination, group: group, limit: 10).count > 0
                }
            }
            try demandEqual(calls.value, 3, "calls of the handler")
            let letters = try await keeper.deadLetters(of: destination, group: group, limit: 10)
            try demandEqual(letters.count, 1, "dead letters")
            try demandEqual(letters[0].envelope.payload, sent.payload, "payload")
            try demandEqual(letters[0].envelope.key, "k", "key")
            try demandEqual(letters[0].envelope.headers["kept"], "yes", "header")
            try demandEqual(letters[0].reason.message, "no good", "reason")
            try demand(letters[0].reason.kind.hasSuffix("Poison"), "the reason's kind is \(letters[0].reason.kind)")
            try await bench.demandEmpty(destination, group)
        },
        BinderCase("C5", "an event that is rejected at once is handed out once") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["bad", "good"], to: destination)
            let seen = try await bench.handle(2, of: destination, group: group) { delivery, count in
                if delivery.envelope.payload == Array("bad".utf8) {
                    try await delivery.reject(FailureReason(message: "no"))
                } else {
                    try await delivery.accept()
                }
            }
            try demandEqual(seen.map(\.text), ["bad", "good"], "texts")
            try await bench.demandEmpty(destination, group)
        },
        BinderCase("C7", "good events complete around one that always fails") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["g0", "poison", "g1", "g2", "g3"], to: destination)
            let good = Collector()
            _ = try await bench.handle(200, of: destination, group: group) { delivery, count in
                if delivery.envelope.payload == Array("poison".utf8) {
                    try await delivery.retry()
                } else {
                    good.add(Seen(envelope: delivery.envelope, attempt: delivery.attempt, position: nil, member: 0))
                    try await delivery.accept()
                }
            } until: {
                good.count == 4
            }
            try demandEqual(good.texts.sorted(), ["g0", "g1", "g2", "g3"], "good events")
        },
        BinderCase("C10", "a delayed retry holds up nothing, and delays end in their order", needs: .nativeDelay) { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["slow", "quick", "now"], to: destination)
            let seen = try await bench.handle(5, of: destination, group: group) { delivery, count in
                let text = String(decoding: delivery.envelope.payload, as: UTF8.self)
                switch (text, count) {
                case ("slow", 0...2): try await delivery.retry(after: .milliseconds(2000))
                case ("quick", 0...2): try await delivery.retry(after: .milliseconds(200))
                default: try await delivery.accept()
                }
            }
            try demandEqual(seen.map(\.text), ["slow", "quick", "now", "quick", "slow"], "texts")
        },
        BinderCase("C11", "a handler that is cancelled settles nothing; the next instance gets its event") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["x"], to: destination)
            let started = Counter()
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    try? await bench.peer.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                        guard let delivery = try await deliveries.next() else { return }
                        started.add()
                        try await Task.sleep(for: .seconds(60))  // a long work, which the end of its task breaks off
                        try await delivery.accept()
                    }
                }
                try? await eventually(within: bench.patience, "the handler") { started.value == 1 }
                tasks.cancelAll()
            }
            let seen = try await bench.receive(1, from: destination, group: group)
            try demandEqual(seen.map(\.text), ["x"], "texts")
            try demand(seen[0].attempt >= 2, "attempt is \(seen[0].attempt)")
        },
        BinderCase("C12", "settling twice, or after the subscription has ended, does nothing but throw") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["twice", "late"], to: destination)
            let late = try await bench.binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) {
                deliveries in
                guard let first = try await deliveries.next()?.take(), let second = try await deliveries.next()?.take() else {
                    return nil as Held?
                }
                try await first.settlement.settle(.accept)
                try? await first.settlement.settle(.accept)
                first.settlement.abandon()
                return Held(Locked(second))
            }
            try? await late?.take()?.settlement.settle(.accept)
            let seen = try await bench.receive(1, from: destination, group: group)
            try demandEqual(seen.map(\.text), ["late"], "texts")
            try await bench.demandEmpty(destination, group)
        },
        BinderCase("C13", "pulled one by one: handed back comes again, rejected does not") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["x", "y"], to: destination)
            let texts = try await bench.binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 1)) {
                deliveries in
                var texts: [String] = []
                while texts.count < 4, let delivery = try await deliveries.next() {
                    let text = String(decoding: delivery.envelope.payload, as: UTF8.self)
                    if text == "x", delivery.attempt > 1 {
                        try await delivery.reject(FailureReason(message: "no"))
                    } else if delivery.attempt > 1 {
                        try await delivery.accept()
                    } else {
                        try await delivery.retry()
                    }
                    texts.append(text)
                }
                return texts
            }
            try demandEqual(texts.sorted(), ["x", "x", "y", "y"], "texts")
            try await bench.demandEmpty(destination, group)
        },
        BinderCase("C14", "a replayed dead letter goes to the group it came from, and to no other", needs: .nativeDeadLetters) { bench in
            let keeper = try bench.demandKeeper()
            let destination = try bench.destination()
            let failing = try bench.group("failing")
            try await bench.withMembers(of: destination, group: try bench.group("other")) { other in
                try await bench.binder.prepare(group: failing, of: destination)
                try await bench.send(["a", "b", "c"], to: destination)
                _ = try await bench.handle(3, of: destination, group: failing) { delivery, _ in
                    try await delivery.reject(FailureReason(message: "no"))
                }
                let letters = try await keeper.deadLetters(of: destination, group: failing, limit: 10)
                try demandEqual(letters.map { String(decoding: $0.envelope.payload, as: UTF8.self) }, ["a", "b", "c"], "dead letters")
                try demandEqual(try await keeper.drop([letters[1].id], of: destination, group: failing), 1, "dropped")
                try demandEqual(try await keeper.replay(nil, of: destination, group: failing), 2, "replayed")
                try demandEqual(try await keeper.deadLetters(of: destination, group: failing, limit: 10), [], "dead letters left")
                let again = try await bench.receive(2, from: destination, group: failing)
                try demandEqual(again.map(\.text), ["a", "c"], "texts")
                try demandEqual(other.texts, ["a", "b", "c"], "other group")
            }
        },
    ]
}

/// Keeps a delivery that one task took and another settles.
package final class Held: Sendable {
    private let received: Locked<ReceivedEnvelope?>
    package init(_ received: consuming sending Locked<ReceivedEnvelope?>) { self.received = received }
    package var isFull: Bool { received.withLock { $0 != nil } }
    package func put(_ one: ReceivedEnvelope) { received.withLock { $0 = one } }
    package func take() -> ReceivedEnvelope? {
        received.withLock { received in
            defer { received = nil }
            return received
        }
    }
}

private final class Times: Sendable {
    private let times: Locked<[ContinuousClock.Instant]>
    init(_ times: consuming sending Locked<[ContinuousClock.Instant]>) { self.times = times }
    func add() { times.withLock { $0.append(.now) } }
    var gaps: [Duration] {
        let all = times.withLock { $0 }
        return zip(all.dropFirst(), all).map { $0 - $1 }
    }
}

extension BinderBench {
    /// One member of the group hands `count` deliveries to `body`, one at a time (or until `done`), and tells what came.
    package func handle(
        _ count: Int, of destination: Destination, group: ConsumerGroup,
        _ body: @escaping @Sendable (consuming Delivery, _ count: Int) async throws -> Void,
        until done: @escaping @Sendable () -> Bool = { false }
    ) async throws -> [Seen] {
        try await within(patience, "\(count) deliveries of \(destination)") { [binder] in
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 4)) { deliveries in
                var seen: [Seen] = []
                while seen.count < count, !done(), let delivery = try await deliveries.next() {
                    let one = Seen(envelope: delivery.envelope, attempt: delivery.attempt, position: delivery.position, member: 0)
                    try await body(delivery, seen.count)
                    seen.append(one)
                }
                return seen
            }
        }
    }

    /// The group has nothing left: a marker that is sent now is the next that comes.
    package func demandEmpty(_ destination: Destination, _ group: ConsumerGroup) async throws {
        try await send(["marker"], to: destination)
        let seen = try await receive(1, from: destination, group: group)
        try demandEqual(seen.map(\.text), ["marker"], "what was left in \(group)")
    }
}
