internal import Lifecycle
internal import Locking
internal import Streams

extension BinderCases {
    package static let publishing: [BinderCase] = [
        BinderCase("G1", "a publish ends when the broker has confirmed it, and not before") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            guard bench.capabilities.contains(.remote) else {
                _ = try await bench.binder.publish(Envelope(text: "x"), to: destination)
                guard let reporting = bench.binder as? any BacklogReporting else {
                    throw CaseFailed(description: "neither a connection nor a backlog shows when an event is there")
                }
                return try demandEqual(try await reporting.backlog(of: destination, group: group).total, 1, "events that are there")
            }
            try await bench.withProxied { binder, proxy in
                _ = try await binder.publish(Envelope(text: "first"), to: destination)
                await proxy.set(fromBroker: .hold)
                let ended = Counter()
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask {
                        _ = try await binder.publish(Envelope(text: "second"), to: destination)
                        ended.add()
                    }
                    try await throughout(.milliseconds(500), "no publish that ends while its confirm is held up") { ended.value == 0 }
                    await proxy.set()
                    while try await tasks.next() != nil {}
                }
            }
            let seen = try await bench.receive(2, from: destination, group: group)
            try demand(Set(seen.map(\.text)) == ["first", "second"], "texts are \(seen.map(\.text))")
        },
        BinderCase("G2", "an event that reaches nobody is reported where the publisher asks for it", needs: .mandatory) { bench in
            let destination = try bench.destination()
            let binder = try await bench.demandVariant(bench.variants.mandatory, "mandatory")()
            try await BinderBench.withRunning(binder) {
                do {
                    _ = try await binder.publish(Envelope(text: "nobody"), to: destination)
                    throw CaseFailed(description: "an event that nobody can get was confirmed")
                } catch let error as BinderError { try demandEqual(error.code, .unroutable, "the refusal") }
                try await binder.prepare(group: try bench.group(), of: destination)
                _ = try await binder.publish(Envelope(text: "somebody"), to: destination)
            }
        },
        BinderCase("G3", "of five hundred publishes at once each gets its own receipt, and its event arrives once") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            let sent = (0..<500).map { Envelope(text: "\($0)") }
            let receipts = try await withThrowingTaskGroup(of: String.self) { tasks in
                for envelope in sent { tasks.addTask { try await bench.binder.publish(envelope, to: destination).id } }
                return try await tasks.reduce(into: [String]()) { $0.append($1) }
            }
            try demandEqual(Set(receipts), Set(sent.map(\.id)), "receipts")
            let seen = try await bench.receive(500, from: destination, group: group)
            try demandEqual(seen.map(\.envelope.id).sorted(), sent.map(\.id).sorted(), "events")
        },
        BinderCase("G4", "a publisher is refused when a group has as many events as it may have", needs: .bounded) { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let binder = try await bench.demandVariant(bench.variants.bounded, "bounded")(destination, group, 10)
            try await BinderBench.withRunning(binder) {
                try await binder.prepare(group: group, of: destination)
                var taken = 0
                var refusal: BinderError?
                while taken < 30, refusal == nil {
                    do throws(BinderError) {
                        _ = try await binder.publish(Envelope(text: "\(taken)"), to: destination)
                        taken += 1
                    } catch { refusal = error }
                }
                // A broker may count what is on its way late, and never takes much more than it was told.
                try demand((10...20).contains(taken), "\(taken) events were taken where 10 may wait")
                try demand([.blocked, .rejected].contains(refusal?.code), "the refusal is \(refusal.map { "\($0)" } ?? "missing")")
                let wanted = taken
                let seen = try await bench.receive(wanted, from: destination, group: group, binder: binder)
                try demandEqual(seen.map(\.text), (0..<wanted).map(String.init), "what was taken")
                try await eventually(within: bench.patience, "room for more") {
                    (try? await binder.publish(Envelope(text: "more"), to: destination)) != nil
                }
            }
        },
        BinderCase("G5", "a thousand events of one publisher arrive in the order in which they were confirmed") { bench in
            let destination = try bench.destination()
            let seen = try await bench.withMembers(1, of: destination, group: try bench.group()) { collector in
                for text in texts(1000) { _ = try await bench.binder.publish(Envelope(text: text, key: "one"), to: destination) }
                try await eventually(within: bench.patience, "1,000 deliveries") { collector.count >= 1000 }
                return collector.texts
            }
            try demandEqual(seen, texts(1000), "order")
        },
        BinderCase("G6", "a publish that nobody answers ends within its limit, as what it is", needs: .remote) { bench in
            let destination = try bench.destination()
            try await bench.withProxied { binder, proxy in
                _ = try await binder.publish(Envelope(text: "before"), to: destination)
                await proxy.set(toBroker: .swallow, fromBroker: .swallow)
                let start = ContinuousClock.now
                do throws(BinderError) {
                    _ = try await binder.publish(Envelope(text: "into the void"), to: destination)
                } catch {
                    try demand([.timedOut, .unreachable].contains(error.code), "the publisher was told \(error)")
                    let took = ContinuousClock.now - start
                    try demand(took <= bench.times.publishLimit * 1.5 + .seconds(2), "it was told after \(took)")
                    await proxy.set()
                    try await eventually(within: bench.patience, "a publish afterwards") {
                        (try? await binder.publish(Envelope(text: "after"), to: destination)) != nil
                    }
                    return
                }
                throw CaseFailed(description: "an event that was swallowed was confirmed")
            }
        },
        BinderCase("G7", "a publisher that was idle for long publishes at once", needs: .remote) { bench in
            let destination = try bench.destination()
            try await bench.withProxied { binder, _ in
                _ = try await binder.publish(Envelope(text: "before"), to: destination)
                try await throughout(bench.times.idle, "an idle binder that is ready") { binder.readiness.isReady }
                _ = try await binder.publish(Envelope(text: "after"), to: destination)
            }
        },
        BinderCase("F8", "events for very many destinations hold few connections", isAlone: true) { bench in
            let count = bench.times.destinations
            @Sendable func publish(by binder: any Binder) async throws {
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for publisher in 0..<8 {
                        tasks.addTask {
                            for index in stride(from: publisher, to: count, by: 8) {
                                let destination = try bench.destination("d\(index)")
                                // Making so many is work: a broker may refuse some for a moment.
                                try await eventually(within: bench.patience, "a publish to \(destination)") {
                                    do throws(BinderError) { _ = try await binder.publish(Envelope(text: "x"), to: destination) } catch {
                                        guard error.isRetriable else { throw error }
                                        return false
                                    }
                                    return true
                                }
                            }
                        }
                    }
                    while try await tasks.next() != nil {}
                }
            }
            guard bench.capabilities.contains(.remote) else { return try await publish(by: bench.binder) }
            try await bench.withProxied { binder, proxy in
                try await publish(by: binder)
                try demand(proxy.mostOpen <= 16, "\(count) destinations held \(proxy.mostOpen) connections at once")
            }
        },
        BinderCase("A10", "what peers send compressed, or several in one, comes out as it was", needs: .peerBatches) { bench in
            let destination = try bench.destination()
            // Spring's batches: each record behind its length, four bytes, most significant first.
            var batch: [UInt8] = []
            for text in texts(3) { batch += [0, 0, 0, UInt8(text.utf8.count)] + Array(text.utf8) }
            let sent = Envelope(
                payload: batch, contentType: "text/plain", headers: ["springBatchFormat": "lengthHeader4", "kept": "yes"])
            let seen = try await bench.withMembers(of: destination, group: try bench.group()) { collector in
                _ = try await bench.binder.publish(sent, to: destination)
                try await eventually(within: bench.patience, "3 events of one message") { collector.count >= 3 }
                return collector.all
            }
            try demandEqual(seen.map(\.text), texts(3), "events")
            try demand(seen.allSatisfy { $0.envelope.headers["kept"] == "yes" }, "a header of the message is missing")
        },
    ]
}
