internal import Lifecycle
internal import Streams

extension BinderCases {
    package static let failures: [BinderCase] = [
        BinderCase(
            "E1", "of 10,000 events none that was confirmed is lost when the broker restarts, or all connections break, twice",
            needs: [.remote, .restartable], isAlone: true
        ) { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let received = TextCollector()
            let options = Consumer.Options(concurrency: 50, subscription: SubscriptionOptions(prefetch: 250))
            let consumer = Consumer(destination: destination, group: group, options: options) { event in
                received.add(String(decoding: event.envelope.payload, as: UTF8.self))
            }
            try await bench.withProxied { binder, proxy in
                try await bench.withConsumer(consumer, over: binder) {
                    try await bench.control.keepDeclarations?()
                    let confirmed = TextCollector()
                    let all = texts(10_000)
                    try await withThrowingTaskGroup(of: Void.self) { tasks in
                        tasks.addTask {
                            try await bench.publishStubbornly(all, to: destination, by: binder, publishers: 50, confirmed: confirmed)
                        }
                        for count in [all.count / 3, all.count / 2] {
                            try await eventually(within: .seconds(60), "\(count) confirmed events") { confirmed.count >= count }
                            if let restart = bench.control.restart { try await restart() } else { await proxy.reset() }
                        }
                        while try await tasks.next() != nil {}
                    }
                    do {
                        try await eventually(within: .seconds(60)) { received.all.isSuperset(of: confirmed.all) }
                    } catch is NotInTime {
                        let missing = confirmed.all.subtracting(received.all)
                        throw CaseFailed(description: "\(missing.count) confirmed events never came, such as \(missing.min() ?? "")")
                    }
                    try demandEqual(confirmed.count, all.count, "confirmed events")
                    try demandEqual(received.all.subtracting(all), [], "events that nobody has sent")
                }
            }
        },
        BinderCase("E2", "a binder whose broker is absent starts, says so, and serves when it comes", needs: .remote) { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let made = try await bench.demandVariant(bench.variants.proxied, "remote")()
            await made.proxy.refuse(true)
            try await BinderBench.withRunning(made.binder) {
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask {
                        try await eventually(within: bench.patience, "a reason of not being ready") {
                            if case .waiting(let reason) = made.binder.readiness { !reason.isEmpty } else { false }
                        }
                        try await throughout(.seconds(1), "a binder that is not ready, since no broker is there") {
                            !made.binder.readiness.isReady
                        }
                        await made.proxy.refuse(false)
                    }
                    let collector = Collector()
                    tasks.addTask {
                        try await made.binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) {
                            deliveries in
                            _ = try await made.binder.publish(Envelope(text: "at last"), to: destination)
                            guard let delivery = try await deliveries.next() else { return }
                            collector.add(Seen(envelope: delivery.envelope, attempt: delivery.attempt))
                            try await delivery.accept()
                        }
                    }
                    while try await tasks.next() != nil {}
                    try demandEqual(collector.texts, ["at last"], "texts")
                }
                try await eventually(within: bench.patience, "readiness") { made.binder.readiness.isReady }
            }
        },
        BinderCase("E3", "an event under way when its connection breaks is reported, or it arrives", needs: .remote) { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.withProxied { binder, proxy in
                let sent = texts(1000)
                let confirmed = TextCollector()
                let failures = FailureCollector()
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for publisher in 0..<50 {
                        tasks.addTask {
                            for index in stride(from: publisher, to: sent.count, by: 50) {
                                do throws(BinderError) {
                                    _ = try await binder.publish(Envelope(text: sent[index]), to: destination)
                                    confirmed.add(sent[index])
                                } catch { failures.add(error) }
                            }
                        }
                    }
                    for round in 1...5 {
                        try await eventually(within: bench.patience, "\(round * 150) publishes that have ended") {
                            confirmed.count + failures.all.count >= round * 150
                        }
                        await proxy.reset()
                    }
                    while try await tasks.next() != nil {}
                }
                let untyped = failures.all.filter { !$0.isRetriable }
                try demand(untyped.isEmpty, "a broken connection was reported as \(untyped.first.map { "\($0)" } ?? "")")
                try await bench.withMembers(of: destination, group: group) { collector in
                    try await eventually(within: bench.patience, "all of \(confirmed.count) confirmed events") {
                        Set(collector.texts).isSuperset(of: confirmed.all)
                    }
                    try demandEqual(Set(collector.texts).subtracting(sent), [], "events that nobody has sent")
                }
            }
        },
        BinderCase("E4", "a broker that falls silent is noticed in time, and taken up again when it speaks", needs: .remote) { bench in
            let destination = try bench.destination()
            try await bench.withProxied { binder, proxy in
                try await bench.withFollower(of: destination, group: nil, by: binder) { collector, events in
                    try await bench.demandArrival("before", at: collector, of: destination, by: binder)
                    await proxy.set(toBroker: .swallow, fromBroker: .swallow)
                    let silent = ContinuousClock.now
                    try await eventually(within: bench.times.detection * 2, "the subscription's notice of a silent broker") {
                        events.all.contains { if case .interrupted = $0 { true } else { false } }
                    }
                    let noticed = ContinuousClock.now - silent
                    try demand(noticed <= bench.times.detection * 1.5, "the silence was noticed after \(noticed)")
                    try await eventually(within: bench.times.detection * 2, "a binder that is not ready") { !binder.readiness.isReady }
                    await proxy.set()
                    try await eventually(within: bench.patience, "the subscription's return") {
                        [.resumed, .gap].contains(events.all.last)
                    }
                    try await bench.demandArrival("after", at: collector, of: destination, by: binder)
                    try await eventually(within: bench.patience, "readiness") { binder.readiness.isReady }
                }
            }
        },
        BinderCase(
            "E5", "a group and a destination that are removed while in use are made again, and their members go on", needs: .removable,
            isAlone: true
        ) {
            bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let remover = try bench.demandRemover()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.withFollower(of: destination, group: group, by: bench.peer) { collector, _ in
                try await bench.demandArrival("before", at: collector, of: destination, by: bench.binder)
                try await remover.remove(group: group, of: destination)
                try await bench.demandArrival("without-group", at: collector, of: destination, by: bench.binder)
                try await remover.remove(destination)
                try await bench.demandArrival("without-destination", at: collector, of: destination, by: bench.binder)
            }
        },
        BinderCase(
            "E6", "what is published behind the removal of its destination is received, however late the members notice",
            needs: [.removable, .replay], isAlone: true
        ) { bench in
            let destination = try bench.destination()
            let remover = try bench.demandRemover()
            try await bench.withFollower(of: destination, group: try bench.group(), by: bench.peer) { collector, _ in
                try await bench.demandArrival("before", at: collector, of: destination, by: bench.binder)
                try await remover.remove(destination)
                try await bench.send(texts(5, "new"), to: destination)
                try await eventually(within: bench.patience, "5 events that came behind the removal") {
                    Set(collector.texts).isSuperset(of: texts(5, "new"))
                }
            }
        },
        BinderCase(
            "E7", "while the broker takes nothing publishers are told so in time, and consumers of the process go on", isAlone: true
        ) { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            if let block = bench.control.block, let unblock = bench.control.unblock {
                try await bench.binder.prepare(group: group, of: destination)
                try await bench.send(texts(10), to: destination)
                try await block(destination)
                try await bench.demandRefusals(destination, by: bench.binder)
                let taken = try await bench.receive(10, from: destination, group: group)
                try demandEqual(Array(taken.map(\.text).prefix(10)), texts(10), "what the consumer got meanwhile")
                try await unblock(destination)
                try await eventually(within: bench.patience, "a broker that takes events again") {
                    (try? await bench.send(["again"], to: destination)) != nil
                }
                return
            }
            // A broker of somebody else is not brought to its limits: what is sent to it waits before it instead.
            let other = try bench.destination("other")
            try await bench.withProxied { binder, proxy in
                try await bench.withFollower(of: other, group: nil, by: bench.binder) { collector, _ in
                    _ = try await binder.publish(Envelope(text: "before"), to: destination)
                    await proxy.set(toBroker: .hold, fromBroker: .hold)
                    try await bench.demandRefusals(destination, by: binder)
                    try await bench.send(["meanwhile"], to: other)
                    try await eventually(within: bench.patience, "the consumer's event") { collector.texts == ["meanwhile"] }
                    await proxy.set()
                    try await eventually(within: bench.patience, "a broker that takes events again") {
                        (try? await binder.publish(Envelope(text: "again"), to: destination)) != nil
                    }
                }
            }
        },
        BinderCase(
            "E8", "a broker that refuses the password is asked rarely, and the reason is told without it", needs: [.remote, .credentials]
        ) {
            bench in
            let destination = try bench.destination()
            let made = try await bench.demandVariant(bench.variants.refused, "credentials")()
            try await BinderBench.withRunning(made.binder) {
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask {
                        _ = try? await made.binder.withSubscription(
                            to: destination, group: nil, options: SubscriptionOptions()
                        ) { _ in }
                    }
                    tasks.addTask { _ = try? await made.binder.publish(Envelope(text: "x"), to: destination) }
                    try await eventually(within: bench.patience, "a first attempt") { made.proxy.accepted > 0 }
                    let before = made.proxy.accepted
                    try await throughout(.seconds(4), "no more than 12 attempts in 4 s") { made.proxy.accepted - before <= 12 }
                    guard case .waiting(let reason) = made.binder.readiness else {
                        throw CaseFailed(description: "the binder says that it is ready with a password that is wrong")
                    }
                    try demand(!reason.isEmpty && !reason.contains(BinderVariants.wrongPassword), "the reason is: \(reason)")
                    tasks.cancelAll()
                    while try await tasks.next() != nil {}
                }
            }
        },
    ]
}

extension BinderBench {
    /// Two publishes, of which the last at least must be refused or run out of time, as it is said.
    func demandRefusals(_ destination: Destination, by binder: any Binder) async throws {
        var codes: [BinderError.Code] = []
        for number in 0..<2 {
            let start = ContinuousClock.now
            do throws(BinderError) {
                _ = try await binder.publish(Envelope(text: "refused \(number)"), to: destination)
            } catch { codes.append(error.code) }
            let took = ContinuousClock.now - start
            try demand(took <= times.publishLimit * 2 + .seconds(5), "a publish that cannot be confirmed took \(took)")
        }
        // One that is on its way when the broker stops may still get through.
        try demand(!codes.isEmpty, "the broker took what it cannot take")
        try demand(codes.allSatisfy { [.blocked, .timedOut, .unreachable].contains($0) }, "publishers were told \(codes)")
    }
}
