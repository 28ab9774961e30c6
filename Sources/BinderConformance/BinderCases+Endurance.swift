internal import Lifecycle
internal import Locking
internal import Streams

extension BinderCases {
    package static let endurance: [BinderCase] = [
        BinderCase("E9", "an event that is in hand for long is not given to another member") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            let (ready, taken, over) = (Counter(), Taken(), ShutdownSignal())
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                // Both are members before the event comes: a newcomer is no reason to wait for.
                for binder in [bench.binder, bench.peer] {
                    tasks.addTask {
                        let options = SubscriptionOptions(prefetch: 1) { event in if event == .ready { ready.add() } }
                        try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                            while let delivery = try await deliveries.next(until: over) {
                                taken.add(delivery.take())
                                await over.wait()
                            }
                        }
                    }
                }
                try await eventually(within: bench.patience, "two ready members") { ready.value >= 2 }
                try await bench.send(["long"], to: destination)
                try await eventually(within: bench.patience, "the event") { taken.count > 0 }
                try await throughout(bench.times.claim * 2.5, "one delivery, the first") { taken.all.map(\.attempt) == [1] }
                for one in taken.all { try await one.settlement.settle(.accept) }
                over.request()
                while try await tasks.next() != nil {}
            }
            try await bench.demandEmpty(destination, group)
        },
        BinderCase("E10", "twenty members that come and go under load lose nothing") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let all = texts(1000)
            let passed = TextCollector()
            try await bench.withMembers(2, of: destination, group: group, prefetch: 8) { steady in
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for part in 0..<4 {
                        tasks.addTask { try await bench.send(Array(all[(part * 250)..<(part * 250 + 250)]), to: destination) }
                    }
                    for round in 0..<20 {
                        let binder = round.isMultiple(of: 2) ? bench.peer : bench.binder
                        let passing = try await bench.withMembers(1, of: destination, group: group, prefetch: 4, binder: binder) {
                            passing in
                            // It goes with its first event, or without one.
                            do { try await eventually(within: .milliseconds(100)) { passing.count > 0 } } catch is NotInTime {}
                            return passing
                        }
                        for text in passing.texts { passed.add(text) }  // read when it has left: an event may come in its last moment
                    }
                    while try await tasks.next() != nil {}
                }
                try await eventually(within: bench.patience, "all events") { passed.all.union(steady.texts).isSuperset(of: all) }
            }
            try await bench.demandDrained(destination, group)
        },
        BinderCase(
            "E11", "a destination that the broker has with other properties is refused, and what disagrees is named", needs: .declarations
        ) {
            bench in
            let made = try await bench.demandVariant(bench.variants.disagreeing, "declarations")()
            try await BinderBench.withRunning(made.binder) {
                do {
                    _ = try await made.binder.publish(Envelope(text: "x"), to: made.destination)
                    throw CaseFailed(description: "an event was taken for a destination that is declared otherwise")
                } catch let error as BinderError {
                    try demandEqual(error.code, .conflict, "the refusal")
                    if let remover = made.binder as? any DestinationRemoving { try await remover.remove(made.destination) }
                    let missing = made.words.filter { !error.message.contains($0) }
                    try demand(missing.isEmpty, "the refusal does not name \(missing): \(error.message)")
                }
            }
        },
        BinderCase(
            "E12", "a broadcast subscription whose old connection the broker still holds comes back beside it",
            needs: [.remote, .broadcast]
        ) {
            bench in
            let destination = try bench.destination()
            try await bench.withProxied { binder, proxy in
                try await bench.withFollower(of: destination, group: nil, by: binder) { collector, events in
                    try await bench.demandArrival("before", at: collector, of: destination, by: bench.binder)
                    await proxy.abandon()
                    try await eventually(within: bench.patience, "the subscription's return") {
                        [.resumed, .gap].contains(events.all.last)
                    }
                    try await bench.demandArrival("after", at: collector, of: destination, by: bench.binder)
                }
            }
        },
        BinderCase("E13", "a hundred lost connections leave none behind", needs: .remote, isAlone: true) { bench in
            let destination = try bench.destination()
            try await bench.withProxied { binder, proxy in
                try await bench.withFollower(of: destination, group: nil, by: binder) { collector, events in
                    try await bench.demandArrival("before", at: collector, of: destination, by: binder)
                    let before = proxy.open
                    for round in 1...100 {
                        await proxy.reset()
                        try await eventually(within: bench.patience, "connection after loss \(round)") { proxy.open > 0 }
                    }
                    try await bench.demandArrival("after", at: collector, of: destination, by: binder)
                    // A client that keeps spare connections may have one or two more, never a hundred.
                    try await eventually(within: bench.patience, "\(before) connections as before; there are \(proxy.open)") {
                        proxy.open <= before + 3
                    }
                    try demand(proxy.accepted >= 100, "only \(proxy.accepted) connections were made")
                }
            }
        },
        BinderCase("E14", "events of publishers whose clock is wrong arrive like others, and are handed out again in time") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            // 1970, 2100, and the beginning of time.
            let clocks: [Int64] = [1, 4_102_444_800_000, 0]
            for (index, time) in clocks.enumerated() {
                _ = try await bench.binder.publish(Envelope(payload: Array("\(index)".utf8), timestamp: time), to: destination)
            }
            let start = ContinuousClock.now
            let seen = try await bench.handle(6, of: destination, group: group) { delivery, _ in
                if delivery.attempt == 1 { try await delivery.retry(after: .milliseconds(50)) } else { try await delivery.accept() }
            }
            try demand(ContinuousClock.now - start < bench.patience, "handing out again took \(ContinuousClock.now - start)")
            try demandEqual(seen.map(\.text).sorted(), ["0", "0", "1", "1", "2", "2"], "texts")
            try await bench.demandEmpty(destination, group)
        },
    ]
}

/// What members have in hand, unsettled.
private final class Taken: Sendable {
    private let taken = Locked<[ReceivedEnvelope]>([])
    var all: [ReceivedEnvelope] { taken.withLock { $0 } }
    var count: Int { all.count }
    func add(_ one: ReceivedEnvelope) { taken.withLock { $0.append(one) } }
}
