internal import Lifecycle
package import Streams

extension BinderCases {
    package static let order: [BinderCase] = [
        BinderCase("D1", "events of one key keep their order among ten members", needs: .orderPerKey) { bench in
            let destination = try bench.destination()
            let seen = try await bench.withMembers(10, of: destination, group: try bench.group(), prefetch: 4) { collector in
                for index in 0..<1000 {
                    _ = try await bench.binder.publish(Envelope(text: "\(index)", key: "key-\(index % 16)"), to: destination)
                }
                try await eventually(within: bench.patience, "1,000 deliveries") { collector.count >= 1000 }
                return collector.all
            }
            try demandEqual(seen.count, 1000, "deliveries")
            for key in 0..<16 {
                let numbers = seen.filter { $0.envelope.key == "key-\(key)" }.compactMap { Int($0.text) }
                try demandEqual(numbers, numbers.sorted(), "order of key-\(key)")
            }
        },
        BinderCase("D4", "keys choose the partition that Java's String.hashCode does") { _ in
            let vectors: [(String, Int32, Int)] = [("", 0, 0), ("a", 97, 2), ("polygenelubricants", .min, 0)]
            for (key, hash, partition) in vectors {
                try demandEqual(Partitioning.javaHash(key), hash, "hash of \(key)")
                try demandEqual(Partitioning.partition(of: key, count: 5), partition, "partition of \(key)")
            }
            // A character outside the basic plane counts as its two surrogates: 31 · 0xD83D + 0xDD14.
            try demandEqual(Partitioning.javaHash("🔔"), 31 * 0xD83D + 0xDD14, "hash of a supplementary character")
            try demand(
                (0..<1000).allSatisfy { (0..<7).contains(Partitioning.partition(of: "key-\($0)", count: 7)) }, "a partition is out of range"
            )
        },
    ]

    package static let lifecycle: [BinderCase] = [
        BinderCase("F2", "a shutdown lets the delivery in hand be settled, and hands out no more") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let rest = try await bench.withFresh { binder, shutdown in
                try await binder.prepare(group: group, of: destination)
                for text in ["one", "two"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
                return try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 1)) {
                    deliveries in
                    guard let first = try await deliveries.next() else { return "nothing came" }
                    shutdown.request()
                    try await eventually(within: bench.patience, "the binder's end") { !binder.readiness.isReady }
                    try await first.accept()
                    return try await deliveries.next() == nil ? "" : "a delivery came after shutdown"
                }
            }
            try demandEqual(rest, "", "after shutdown")
        },
        BinderCase("F3", "publishing after the end is refused as closed") { bench in
            let destination = try bench.destination()
            let binder = try await bench.withFresh { binder, _ in
                _ = try await binder.publish(Envelope(text: "x"), to: destination)
                return binder
            }
            do {
                _ = try await binder.publish(Envelope(text: "y"), to: destination)
                throw CaseFailed(description: "an event was taken after the end")
            } catch let error as BinderError { try demandEqual(error.code, .closed, "the refusal") }
        },
        BinderCase("F4", "after ten subscriptions that came and went at once, everything still arrives") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for index in 0..<10 {
                    tasks.addTask {
                        try await (index.isMultiple(of: 2) ? bench.binder : bench.peer).withSubscription(
                            to: destination, group: group, options: SubscriptionOptions()
                        ) { _ in }
                    }
                }
                try await tasks.waitForAll()
            }
            try await bench.send(texts(50), to: destination)
            let seen = try await bench.receive(50, from: destination, group: group)
            try demandEqual(seen.map(\.text), texts(50), "texts")
        },
        BinderCase("F5", "asking for shutdown from within a handler blocks nothing") { bench in
            let destination = try bench.destination()
            try await bench.withFresh { binder, shutdown in
                try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions()) { deliveries in
                    _ = try await binder.publish(Envelope(text: "x"), to: destination)
                    guard let delivery = try await deliveries.next() else { return }
                    shutdown.request()
                    try await delivery.accept()
                }
            }
        },
        BinderCase("F7", "a publisher that is cancelled returns, with a receipt or as cancelled") { bench in
            let destination = try bench.destination()
            let outcomes = try await withThrowingTaskGroup(of: String.self) { tasks in
                for index in 0..<50 {
                    tasks.addTask {
                        do {
                            _ = try await bench.binder.publish(Envelope(text: "\(index)"), to: destination)
                            return "sent"
                        } catch let error as BinderError { return "\(error.code)" }
                    }
                }
                tasks.cancelAll()
                return try await tasks.reduce(into: Set<String>()) { $0.insert($1) }
            }
            try demand(outcomes.isSubset(of: ["sent", "cancelled"]), "publishers ended as \(outcomes)")
            try await bench.send(["after"], to: destination)
        },
        BinderCase("R2", "a subscription that is cancelled while it waits ends, and loses nothing") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            for round in 0..<20 {
                let ready = Counter()
                let collector = Collector()
                await withTaskGroup(of: Void.self) { tasks in
                    tasks.addTask {
                        let options = SubscriptionOptions { if $0 == .ready { ready.add() } }
                        try? await bench.binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                            while let delivery = try await deliveries.next() {
                                let one = Seen(envelope: delivery.envelope, attempt: delivery.attempt, position: nil, member: 0)
                                try await delivery.accept()
                                collector.add(one)
                            }
                        }
                    }
                    try? await eventually(within: bench.patience, "ready") { ready.value == 1 }
                    tasks.addTask { try? await bench.send(["\(round)"], to: destination) }
                    if round.isMultiple(of: 2) { await Task.yield() }
                    tasks.cancelAll()
                }
            }
            // What was taken and confirmed by nobody must still come; what was cancelled before it was sent never existed.
            try await bench.demandDrained(destination, group)
        },
    ]
}

extension BinderBench {
    /// The group hands out what is left of it, and a marker sent now at the end.
    package func demandDrained(_ destination: Destination, _ group: ConsumerGroup) async throws {
        try await send(["marker"], to: destination)
        try await withMembers(1, of: destination, group: group) { collector in
            try await eventually(within: patience, "the marker") { collector.texts.contains("marker") }
        }
    }
}
