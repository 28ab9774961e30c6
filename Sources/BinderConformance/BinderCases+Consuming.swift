internal import Lifecycle
internal import Locking
internal import Streams
internal import Telemetry

/// What handlers that are attached to a subscription see: retries, dead letters, order, pausing and counters, over the binder under test.
extension BinderCases {
    package static let consuming: [BinderCase] = [
        BinderCase("C6", "without dead letters an event that is given up is gone, and counted") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let metrics = Metrics()
            var options = Consumer.Options(retry: RetryPolicy(attempts: 1))
            options.subscription.deadLetters = false
            let calls = Counter()
            let consumer = Consumer(destination: destination, group: group, options: options, metrics: metrics) { _ in
                calls.add()
                throw PermanentFailure("never")
            }
            try await bench.withConsumer(consumer) {
                try await bench.send(["lost"], to: destination)
                try await eventually(within: bench.patience, "the handler's call") { calls.value == 1 }
                try await eventually(within: bench.patience, "the count") { metrics.prometheusText.contains("what=\"rejected\"} 1") }
            }
            try await bench.send(["marker"], to: destination)
            let seen = try await bench.withMembersOf(destination, group, deadLetters: false) { collector in
                try await eventually(within: bench.patience, "the marker") { collector.count >= 1 }
                return collector.texts
            }
            try demandEqual(seen, ["marker"], "what was left")
        },
        BinderCase(
            "C8", "an event whose rejection does not reach the broker at first comes again or is a dead letter",
            needs: [.remote, .nativeDeadLetters]
        ) {
            bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let keeper = try bench.demandKeeper()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["poison"], to: destination)
            try await bench.withProxied { binder, proxy in
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 1)) { deliveries in
                    guard let delivery = try await deliveries.next() else { return }
                    await proxy.refuse(true)
                    await proxy.reset()
                    let held = Held(Locked(delivery.take()))
                    let (ended, confirmed) = (Counter(), Counter())
                    try await withThrowingTaskGroup(of: Void.self) { tasks in
                        tasks.addTask {
                            // Reported as failed, or taken up when the broker is there again.
                            do { try await held.take()?.settlement.settle(.reject(FailureReason(message: "no"))) } catch is BinderError {
                                return ended.add()
                            }
                            try demand(proxy.open > 0, "a rejection that cannot have reached the broker was confirmed")
                            confirmed.add()
                            ended.add()
                        }
                        try await throughout(.milliseconds(500), "no confirmed rejection while the broker is away") { confirmed.value == 0 }
                        await proxy.refuse(false)
                        try await eventually(within: bench.patience, "the end of a rejection") { ended.value == 1 }
                        while try await tasks.next() != nil {}
                    }
                }
            }
            let back = try await bench.withMembers(of: destination, group: group) { collector in
                try await eventually(within: bench.patience, "the event again, or its dead letter") {
                    if collector.count > 0 { return true }
                    return try await keeper.deadLetters(of: destination, group: group, limit: 10).count > 0
                }
                return collector.texts
            }
            let dead = try await keeper.deadLetters(of: destination, group: group, limit: 10)
            try demand(back == ["poison"] || dead.map(\.text) == ["poison"], "came again: \(back), dead: \(dead.map(\.text))")
        },
        BinderCase("C9", "a reason that is too long is cut, and its dead letter is kept", needs: .nativeDeadLetters) { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let keeper = try bench.demandKeeper()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(["poison"], to: destination)
            let reason = FailureReason(message: "because " + String(repeating: "é", count: 300_000), kind: "Long")
            _ = try await bench.handle(1, of: destination, group: group) { delivery, _ in try await delivery.reject(reason) }
            let letters = try await keeper.deadLetters(of: destination, group: group, limit: 10)
            try demandEqual(letters.map(\.text), ["poison"], "dead letters")
            try demand(letters[0].reason.message.hasPrefix("because é"), "the reason begins with \(letters[0].reason.message.prefix(20))")
            try demand(letters[0].reason.message.utf8.count <= reason.message.utf8.count, "the reason has grown")
            try await bench.demandEmpty(destination, group)
        },
        BinderCase("C15", "of events that are handled together those before a failure are done, the others come again") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(texts(10), to: destination)
            try await bench.binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 10)) {
                deliveries in
                var batch: [ReceivedEnvelope] = []
                while batch.count < 10, let delivery = try await deliveries.next() { batch.append(delivery.take()) }
                for done in batch.prefix(4) { try await done.settlement.settle(.accept) }
                for left in batch.dropFirst(4) { left.settlement.abandon() }
            }
            let again = try await bench.receive(6, from: destination, group: group, binder: bench.peer)
            try demandEqual(again.map(\.text).sorted(), Array(texts(10).dropFirst(4)), "what came again")
            try await bench.demandEmpty(destination, group)
        },
        BinderCase("D2", "with one handler at a time order holds through an event that is tried again") { bench in
            let destination = try bench.destination()
            let done = Collector()
            let calls = Counter()
            let retry = RetryPolicy(attempts: 3, initialPause: .milliseconds(100))
            let consumer = Consumer(
                destination: destination, group: try bench.group(),
                options: Consumer.Options(retry: retry, subscription: SubscriptionOptions(prefetch: 1))
            ) { event in
                if event.envelope.payload == Array("e3".utf8), event.call < 3 {
                    calls.add()
                    throw CaseFailed(description: "not yet")
                }
                done.add(Seen(envelope: event.envelope, attempt: event.round))
            }
            try await bench.withConsumer(consumer) {
                for text in texts(10) { _ = try await bench.binder.publish(Envelope(text: text, key: "k"), to: destination) }
                try await eventually(within: bench.patience, "10 events") { done.count >= 10 }
            }
            try demandEqual(done.texts, texts(10), "order")
            try demandEqual(calls.value, 2, "failed calls")
        },
        BinderCase("F1", "a binding stops, starts, pauses and resumes by itself, also one without a group") { bench in
            for group in [try bench.group(), nil] where group != nil || bench.capabilities.contains(.broadcast) {
                let destination = try bench.destination(group == nil ? "broadcast" : "group")
                try await bench.withBinding(to: destination, group: group) { bindings, collector in
                    try demandEqual(try bindings.view("b").state, .running, "state at the start")
                    try await bench.send(["one"], to: destination)
                    try await eventually(within: bench.patience, "the first event") { collector.texts == ["one"] }
                    try bindings.pause("b")
                    try demandEqual(try bindings.view("b").state, .paused, "state after pause")
                    try await bench.send(["two"], to: destination)
                    try await throughout(.milliseconds(300), "no text but `one` while it is paused") { collector.texts == ["one"] }
                    try bindings.resume("b")
                    try await eventually(within: bench.patience, "the second event") { collector.texts == ["one", "two"] }
                    try await bindings.stop("b")
                    try demandEqual(try bindings.view("b").state, .stopped, "state after stop")
                    try bindings.start("b")
                    try await eventually(within: bench.patience, "a position after the start") { bindings.readiness.isReady }
                    try await bench.send(["three"], to: destination)
                    try await eventually(within: bench.patience, "the third event") { collector.texts == ["one", "two", "three"] }
                }
            }
        },
        BinderCase("F6", "a pause longer than the broker's patience costs neither the subscription nor an event", needs: .remote) { bench in
            let destination = try bench.destination()
            try await bench.withProxied { binder, _ in
                let interrupted = Counter()
                try await bench.withBinding(to: destination, group: try bench.group(), over: binder, interrupted: interrupted) {
                    bindings, collector in
                    try bindings.pause("b")
                    try await bench.send(texts(5), to: destination)
                    try await throughout(bench.times.idle, "no text while it is paused") { collector.texts.isEmpty }
                    try bindings.resume("b")
                    try await eventually(within: bench.patience, "5 events after the pause") { collector.count >= 5 }
                    try demandEqual(collector.texts, texts(5), "texts after the pause")
                    try demandEqual(interrupted.value, 0, "connections lost while it was paused")
                }
            }
        },
        BinderCase("F9", "a binding that runs cannot be started again") { bench in
            let destination = try bench.destination()
            try await bench.withBinding(to: destination, group: try bench.group()) { bindings, _ in
                do {
                    try bindings.start("b")
                    throw CaseFailed(description: "it was started twice")
                } catch let error as BindingError { try demandEqual(error.code, .conflict, "the refusal") }
            }
        },
        BinderCase("I3", "what became of events is counted: accepted, failed, tried again later, rejected") { bench in
            let destination = try bench.destination()
            let metrics = Metrics()
            let retry = RetryPolicy(attempts: 2, initialPause: .milliseconds(10), laterRounds: [.milliseconds(20)])
            let consumer = Consumer(
                destination: destination, group: try bench.group(), options: Consumer.Options(retry: retry), metrics: metrics
            ) { event in
                switch String(decoding: event.envelope.payload, as: UTF8.self) {
                case "good": return
                case "bad": throw PermanentFailure("never")
                case "late" where event.round > 1: return
                default: throw CaseFailed(description: "not yet")
                }
            }
            try await bench.withConsumer(consumer) {
                try await bench.send(["good", "good", "bad", "late"], to: destination)
                let wanted = [("accepted", 3), ("rejected", 1), ("retried later", 1), ("failed", 3)]
                try await eventually(within: bench.patience, "counts \(wanted) in\n\(metrics.prometheusText)") {
                    let text = metrics.prometheusText
                    return wanted.allSatisfy { text.contains("what=\"\($0.0)\"} \($0.1)\n") }
                }
            }
        },
    ]
}

extension BinderBench {
    /// Runs a consumer around `body`, which starts when its position is established.
    func withConsumer<R: Sendable>(
        _ consumer: Consumer, over other: (any Binder)? = nil, _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        let gate = FetchGate()
        let ready = ShutdownSignal()
        let binder = other ?? self.binder
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { ready.request() }
                try await consumer.run(over: binder, gate: gate, ready: { ready.request() })
            }
            await ready.wait(atMost: patience)
            let result: Result<R, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            gate.close()
            if case .failure = result { tasks.cancelAll() }
            do { while try await tasks.next() != nil {} } catch { _ = try result.get(); throw error }
            return try result.get()
        }
    }

    /// Runs a binding named `b` around `body`, which starts when its position is established.
    func withBinding<R: Sendable>(
        to destination: Destination, group: ConsumerGroup?, over binder: (any Binder)? = nil, interrupted: Counter = Counter(),
        _ body: @escaping @Sendable (Bindings, Collector) async throws -> R
    ) async throws -> R {
        let bindings = Bindings()
        let collector = Collector()
        let options = SubscriptionOptions { if case .interrupted = $0 { interrupted.add() } }
        let consumer = Consumer(destination: destination, group: group, options: Consumer.Options(subscription: options)) { event in
            collector.add(Seen(envelope: event.envelope, attempt: event.round))
        }
        try bindings.add("b", consumer, over: binder ?? self.binder)
        return try await Self.withService(bindings) {
            try await eventually(within: patience, "a position of the binding") { bindings.readiness.isReady }
            return try await body(bindings, collector)
        }
    }

    /// As `withMembers`, for one member that keeps no dead letters: a broker may hold that against a member that does.
    func withMembersOf<R: Sendable>(
        _ destination: Destination, _ group: ConsumerGroup, deadLetters: Bool, _ body: @escaping @Sendable (Collector) async throws -> R
    ) async throws -> R {
        let collector = Collector()
        let consumer = Consumer(
            destination: destination, group: group, options: Consumer.Options(subscription: SubscriptionOptions(deadLetters: deadLetters))
        ) { event in collector.add(Seen(envelope: event.envelope, attempt: event.round)) }
        return try await withConsumer(consumer) { try await body(collector) }
    }
}

extension DeadLetter {
    var text: String { String(decoding: envelope.payload, as: UTF8.self) }
}
