internal import Lifecycle
internal import Streams

extension BinderCases {
    package static let observing: [BinderCase] = [
        BinderCase("I1", "the backlog of a group is what it has not done, also before it has done anything", needs: .lag) { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            guard let reporting = bench.binder as? any BacklogReporting else {
                throw CaseFailed(description: "\(bench.binder.name) claims lag and tells no backlog")
            }
            @Sendable func demandTotal(_ total: Int, _ when: String) async throws {
                let last = Counter()
                do {
                    try await eventually(within: bench.patience / 2, "") {
                        let backlog = try await reporting.backlog(of: destination, group: group)
                        last.set(backlog.total)
                        return backlog.total == total
                    }
                } catch is NotInTime { throw CaseFailed(description: "the backlog \(when) is \(last.value), not \(total)") }
            }
            do {
                let backlog = try await reporting.backlog(of: destination, group: group)
                throw CaseFailed(description: "a group that nobody has made has the backlog \(backlog)")
            } catch let error as BinderError { try demandEqual(error.code, .invalid, "the answer for a group that nobody has made") }
            try await bench.binder.prepare(group: group, of: destination)
            try await demandTotal(0, "of a new group")
            try await bench.send(texts(10), to: destination)
            try await demandTotal(10, "before anything is done")
            try await bench.binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 4)) {
                deliveries in
                var held: [ReceivedEnvelope] = []
                while held.count < 4, let delivery = try await deliveries.next() { held.append(delivery.take()) }
                try await demandTotal(10, "while 4 are in hand")
                try await held[0].settlement.settle(.accept)
                try await held[1].settlement.settle(.accept)
                try await held[2].settlement.settle(.reject(FailureReason(message: "no")))
                held[3].settlement.abandon()
                try await demandTotal(7, "after 3 are done")
            }
            let rest = try await bench.receive(7, from: destination, group: group)
            try demandEqual(rest.count, 7, "what was left")
            try await demandTotal(0, "when all is done")
        },
        BinderCase("I2", "readiness tells why a binder is not ready, and when it has ended") { bench in
            try await bench.withFresh { binder, shutdown in
                try await eventually(within: bench.patience, "readiness") { binder.readiness.isReady }
                shutdown.request()
                try await eventually(within: bench.patience, "an end that can be seen") { !binder.readiness.isReady }
                guard case .waiting(let reason) = binder.readiness, !reason.isEmpty else {
                    throw CaseFailed(description: "a binder that has ended does not say so")
                }
            }
            guard bench.capabilities.contains(.remote) else { return }
            try await bench.withProxied { binder, proxy in
                _ = try await binder.publish(Envelope(text: "x"), to: try bench.destination())
                try await eventually(within: bench.patience, "readiness") { binder.readiness.isReady }
                await proxy.refuse(true)
                await proxy.reset()
                try await eventually(within: bench.patience, "a binder that is not ready") { !binder.readiness.isReady }
                if case .waiting(let reason) = binder.readiness { try demand(!reason.isEmpty, "no reason is given") }
                await proxy.refuse(false)
                try await eventually(within: bench.patience, "readiness again") { binder.readiness.isReady }
            }
        },
        BinderCase("I4", "the trace of an event goes with it") { bench in
            let destination = try bench.destination()
            let trace: [String: HeaderValue] = [
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=a,other=b",
            ]
            let seen = try await bench.withMembers(of: destination, group: try bench.group()) { collector in
                _ = try await bench.binder.publish(Envelope(payload: [1], headers: trace), to: destination)
                try await eventually(within: bench.patience, "the delivery") { collector.count == 1 }
                return collector.all[0]
            }
            for (name, value) in trace { try demandEqual(seen.envelope.headers[name], value, name) }
        },
    ]
}
