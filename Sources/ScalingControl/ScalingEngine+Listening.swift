internal import Autoscaler
internal import ConfigModel
internal import Foundation
internal import JSON
internal import Lifecycle
internal import Locking
internal import ScalingFormats
package import Streams
internal import Telemetry

// What comes from the broker: from instances, and from other servers.
extension ScalingEngine {
    /// Subscribed until shutdown; a lost broker is waited for.
    func listen(to destination: Destination, until shutdown: ShutdownSignal) async {
        var pause = Duration.milliseconds(500)
        let options = SubscriptionOptions(prefetch: 64) { event in
            if event == .gap { self.state.withLock { $0.asks = true } }
        }
        while !shutdown.isRequested, !Task.isCancelled {
            do {
                try await binder.withSubscription(to: destination, group: nil, options: options) { deliveries in
                    pause = .milliseconds(500)
                    if destination == ScalingEvents.destination { _ = await self.tell(.hello, ScalingEvents.object([])) }
                    while let delivery = try await deliveries.next(until: shutdown) {
                        await self.take(delivery.envelope)
                        try? await delivery.accept()  // a broadcast subscription keeps nothing
                    }
                }
            } catch {
                if Task.isCancelled || shutdown.isRequested { return }
                log.warning("not subscribed; trying again", ["destination": destination.name, "reason": "\(error)"])
            }
            await shutdown.wait(atMost: pause * Double.random(in: 0.8...1.2))
            pause = min(pause * 2, .seconds(15))
        }
    }

    /// Takes over one event; what is none is passed over.
    package func take(_ envelope: Envelope) async {
        let sender = envelope.headers[ScalingEvents.serverHeader]?.text
        switch ScalingEvents.kind(of: envelope) {
        case .report: takeReport(envelope.payload)
        case .drained: takeDrained(envelope.payload)
        case .beat: await takeBeat(envelope.payload)
        case .hello: if sender != configuration.server { await introduce() }
        case .signal: if sender != configuration.server { await follow(envelope.payload) }
        case .snapshot: if sender != configuration.server { await adopt(envelope.payload) }
        case .override: if sender != configuration.server { await takeOverride(envelope.payload) }
        case .result, .alert, .drain, nil: break
        }
    }

    // MARK: Instances

    private func takeReport(_ payload: [UInt8]) {
        guard let report = ResourceReports.parse(payload), places[report.policy] != nil else { return }
        let now = clock.steady()
        let drains = (try? JSONReader.read(payload))?["drains"] == .boolean(true)
        state.withLock { state in
            if drains { state.drains.joined(report.instance) }
            if !report.values.isEmpty { state.resources.take(policy: report.policy, instance: report.instance, report.values, at: now) }
        }
    }

    private func takeDrained(_ payload: [UInt8]) {
        guard let instance = (try? JSONReader.read(payload))?["instance"]?.string else { return }
        let signals = state.withLock { state in state.drains.drained(instance).compactMap { state.drainSignals[$0] } }
        for signal in signals { signal.request() }
    }

    /// Tells instances to end what they have in hand and take nothing more; returns when all of them that take part have said so, or at the
    /// deadline. Returns those that said so.
    @discardableResult
    package func drain(policy: String, instances: [String], deadline: Duration) async -> Set<String> {
        let request = Identifier.random()
        let signal = ShutdownSignal()
        let wanted = state.withLock { state in
            state.drainSignals[request] = signal
            return state.drains.begin(request, instances)
        }
        defer {
            state.withLock { state in
                state.drains.end(request)
                state.drainSignals[request] = nil
            }
        }
        guard !wanted.isEmpty else { return [] }
        let until = ScalingClock.rounded(clock.wall() + deadline / .seconds(1))
        let isTold = await tell(
            .drain, of: policy, id: request,
            ScalingEvents.object([
                ("type", .string(ScalingEvents.Kind.drain.rawValue)), ("policy", .string(policy)),
                ("instances", .array(wanted.sorted().map(JSONValue.string))), ("until", .string(TimeText.render(until))),
            ]), to: ScalingEvents.reports)
        if isTold { await signal.wait(atMost: deadline) }
        return state.withLock { wanted.subtracting($0.drains.left(request)) }
    }

    /// Takes a value of the business from the bus; true when a policy asks for it, which is then looked at.
    @discardableResult
    package func tell(parameter name: String, _ text: String) -> Bool {
        let users = parameterUsers[name] ?? []
        let now = clock.steady()
        guard state.withLock({ $0.parameters.tell(name, text, among: users.isEmpty ? [] : [name], at: now) }) else { return false }
        for index in users { hint(index) }
        return true
    }

    /// What the policies ask the business for.
    package var parameterNames: Set<String> { Set(parameterUsers.keys) }

    /// Takes over what the served configuration says of them; a value on the bus outranks it. Policies to whom something is new are looked at.
    package func serve(parameters values: [String: String]) {
        for name in state.withLock({ $0.parameters.serve(values) }) { for index in parameterUsers[name] ?? [] { hint(index) } }
    }

    // MARK: Other servers

    static func payload(_ beat: LeaseState.Beat) -> [UInt8] {
        ScalingEvents.object([
            ("type", .string(ScalingEvents.Kind.beat.rawValue)), ("kind", .string(beat.kind.rawValue)), ("server", .string(beat.server)),
            ("term", .number(String(beat.term))), ("sent", beat.sent.map { .number(String(Int64($0 * 1000))) } ?? .null),
        ])
    }

    /// Says several times within the limit what this server is.
    func beat(until shutdown: ShutdownSignal) async {
        while !shutdown.isRequested, !Task.isCancelled {
            let now = now()
            let (beat, term) = state.withLock { ($0.lease.beat(at: now.steady, wall: now.wall), $0.lease.term) }
            if beat.kind == .claiming, beat.term == term { try? await ledger.append([.term(term)], at: clock.wall()) }
            _ = await tell(.beat, Self.payload(beat))
            let asks = state.withLock { state in
                defer { state.asks = false }
                return state.asks
            }
            if asks, await !tell(.hello, ScalingEvents.object([])) { state.withLock { $0.asks = true } }
            await shutdown.wait(atMost: configuration.beat)
        }
    }

    private func takeBeat(_ payload: [UInt8]) async {
        guard let value = try? JSONReader.read(payload), let kind = value["kind"]?.string.flatMap(LeaseState.Beat.Kind.init(rawValue:)),
            let server = value["server"]?.string, let term = value["term"]?.integer, (0...Int64(1 << 53)).contains(term)
        else { return }
        let now = clock.steady()
        let beat = LeaseState.Beat(kind, server: server, term: Int(term), sent: value["sent"]?.integer.map { Double($0) / 1000 })
        let isClaim = state.withLock { state in
            state.lease.heard(beat, at: now)
            guard state.lease.yields(to: beat), state.handedOver != beat.term else { return false }
            state.handedOver = beat.term
            return true
        }
        if isClaim { await handOver(to: beat.term) }
    }

    /// A server claims to lead: it is told what was decided here and it may not have heard, so that it does not decide it once more. It has time to
    /// take that over before it leads.
    private func handOver(to claim: Int) async {
        for index in plans.indices {
            let (known, term, isOwn) = slots[index].withLock { ($0.state, $0.term, $0.isOwn) }
            if isOwn { await tell(snapshot: known, in: term, claim: claim) }
        }
    }

    private func tell(snapshot state: PolicyState, in term: Int, claim: Int? = nil) async {
        guard state.seq > 0, let text = (try? JSONEncoder().encode(state)).flatMap({ String(data: $0, encoding: .utf8) }) else { return }
        _ = await tell(
            .snapshot, of: state.policy.name,
            ScalingEvents.object([
                ("type", .string(ScalingEvents.Kind.snapshot.rawValue)), ("policy", .string(state.policy.name)),
                ("term", .number(String(term))), ("claim", claim.map { .number(String($0)) } ?? .null), ("state", .string(text)),
            ]))
    }

    /// A server has just come: it is told what it could not hear.
    private func introduce() async {
        guard let term else { return }
        for index in plans.indices {
            let (known, override) = slots[index].withLock { ($0.state, $0.override) }
            await tell(snapshot: known, in: term)
            if let override { await tell(override: override, of: index) }
        }
    }

    private func isFromLeader(_ value: JSONValue) -> Int? {
        guard term == nil, let number = value["term"]?.integer, let term = Int(exactly: number) else { return nil }
        return state.withLock { term >= $0.lease.term } ? term : nil
    }

    /// Of a server that led before, for whoever claims to lead now: the term that it decided in.
    private func isHandedOver(_ value: JSONValue) -> Int? {
        guard term == nil, let claim = value["claim"]?.integer, let number = value["term"]?.integer, let term = Int(exactly: number)
        else { return nil }
        return state.withLock { claim == Int64($0.lease.term) } ? term : nil
    }

    /// Takes over what a policy remembers at the leader, where more has been decided there than is known here.
    private func adopt(_ payload: [UInt8]) async {
        guard let value = try? JSONReader.read(payload), let term = isHandedOver(value) ?? isFromLeader(value),
            let index = value["policy"]?.string.flatMap({ places[$0] }),
            let text = value["state"]?.string,
            let known = try? JSONDecoder().decode(PolicyState.self, from: Data(text.utf8)), known.policy == plans[index].policy
        else { return }
        let now = now()
        let snapshot = slots[index].withLock { slot -> LedgerSnapshot? in
            guard term > slot.term || term == slot.term && (known.seq > slot.state.seq || slot.isAstray && known.seq == slot.state.seq)
            else { return nil }
            slot.state = known
            slot.term = term
            slot.isOwn = false
            slot.isAstray = false
            slot.instant = now.steady
            return LedgerSnapshot(policy: known.policy.name, term: term, time: now.wall, state: known, shadow: slot.shadow)
        }
        if let snapshot {
            try? await ledger.append([.rewind(policy: known.policy.name, from: known.seq), .snapshot(snapshot)], at: now.wall)
        }
    }

    /// Makes a decision of the leader again, so that what it remembers is remembered here too.
    private func follow(_ payload: [UInt8]) async {
        guard let value = try? JSONReader.read(payload), value["mode"]?.string == "live", let term = isFromLeader(value),
            let decision = try? DecisionJSON.read(value), let index = places[decision.policy]
        else { return }
        let instant = now().steady
        let (entries, isAstray) = slots[index].withLock { slot -> ([LedgerEntry], Bool) in
            if decision.seq != slot.state.seq + 1, decision.seq > slot.state.seq || term > slot.term { slot.isAstray = true }
            guard decision.seq > slot.state.seq else { return ([], slot.isAstray) }
            slot.isOwn = false
            slot.state.skip(to: decision.seq - 1)
            return (slot.decide(Observation(recordedIn: decision), at: instant, term: term).entries, slot.isAstray)
        }
        if !entries.isEmpty { try? await ledger.append(entries, at: decision.time) }
        // Something was not heard: the leader tells it whole.
        if isAstray { state.withLock { $0.asks = true } }
    }

    /// Tells other servers what an operator wants.
    func tell(override: Override?, of index: Int) async {
        guard configuration.isShared, let term else { return }
        _ = await tell(
            .override, of: plans[index].policy.name,
            ScalingEvents.object([
                ("type", .string(ScalingEvents.Kind.override.rawValue)), ("policy", .string(plans[index].policy.name)),
                ("term", .number(String(term))), ("count", override?.count.map { .number(String($0)) } ?? .null),
                ("until", override.map { .string(TimeText.render($0.until)) } ?? .null),
            ]))
    }

    private func takeOverride(_ payload: [UInt8]) async {
        guard let value = try? JSONReader.read(payload), isFromLeader(value) != nil,
            let index = value["policy"]?.string.flatMap({ places[$0] })
        else { return }
        let override = value["until"]?.string.flatMap { TimeText.parse($0) }.map { until in
            value["count"]?.integer.map { .set(Int(clamping: $0), within: plans[index].policy, until: until) }
                ?? Override(.hold, until: until)
        }
        slots[index].withLock { $0.override = override }
        try? await ledger.append([.override(policy: plans[index].policy.name, override)], at: clock.wall())
    }
}
