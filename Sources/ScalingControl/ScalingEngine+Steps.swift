internal import Autoscaler
internal import Lifecycle
internal import Locking
internal import Streams
internal import Telemetry

extension ScalingEngine {
    /// Observe, decide, write down, tell, order: for a policy that is in hand and whose queues were read.
    func step(_ index: Int) async {
        if let term { await step(index, in: term) }
        if slots[index].giveBack() { hint(index) }
    }

    private func step(_ index: Int, in term: Int) async {
        let plan = plans[index]
        let observed = await observe(index)
        // The orchestrator may have taken longer than this server leads.
        guard self.term == term else { return }
        guard let (decision, entries) = decide(index, observed, in: term) else { return }
        do {
            try await ledger.append(entries, at: decision.time)
        } catch {
            log.error(
                "a decision cannot be written down and is not carried out", ["policy": plan.policy.name, "reason": error.description])
            return fail(error.description)
        }
        fail(nil)
        let observers = state.withLock { $0.observers }
        if !observers.isEmpty {
            let view = PolicyView(plan, slots[index].withLock { $0 }, at: decision.time)
            for observer in observers { observer(view) }
        }
        let isTold = await tell(
            .signal, of: decision.policy, id: "\(decision.policy)/\(term)/\(decision.seq)",
            ScalingEvents.signal(decision, term: term, target: plan.targetName, expires: decision.time + 2 * configuration.poll))
        if isTold, let effect = await carryOut(decision, index, observed, in: term) { await note(effect, of: decision, index, in: term) }
        await tellShadow(index, in: term)
        await alert(index, decision)
    }

    // MARK: Observing

    struct Observed {
        var target: TargetObservation?
        var problem: String?
    }

    private func observe(_ index: Int) async -> Observed {
        guard let target = plans[index].target else { return Observed() }
        let answer = await asked(target) { () -> Result<TargetObservation, TargetError> in
            do throws(TargetError) { return .success(try await target.observe()) } catch { return .failure(error) }
        }
        switch answer {
        case .success(let observation): return Observed(target: observation)
        case .failure(let error): return Observed(problem: error.message)
        case nil: return Observed(problem: "\(target.name) did not answer in time")
        }
    }

    /// One call of an orchestrator, among few of its kind, within a limit.
    private func asked<R: Sendable>(_ target: any ScalingTarget, _ body: @escaping @Sendable () async -> R) async -> R? {
        let limit = Duration.milliseconds(Int64(max(configuration.poll, 5) * 1000))
        guard let permits = permits[Self.kind(target)] else { return await withTimeLimit(limit, body) }
        return await permits.with { await withTimeLimit(limit, body) }
    }

    // MARK: Deciding

    private func decide(_ index: Int, _ observed: Observed, in term: Int) -> (Decision, [LedgerEntry])? {
        let plan = plans[index]
        let now = now()
        let ready = observed.target?.count.ready ?? 0
        let (resources, parameters) = inputs(plan.policy, ready: ready, at: now.steady)
        return slots[index].withLock { slot in
            if slot.reports.count != plan.queues.count { slot.reports = plan.queues.map { _ in .unknown("not read yet") } }
            slot.owner = observed.target?.owner
            slot.pending = observed.target?.pending
            slot.targetProblem = observed.problem
            let observation = slot.observation(
                slot.reports, readAt: slot.readAt ?? now.steady, target: observed.target, isTold: plan.target == nil, now: now,
                resources: resources, parameters: parameters)
            slot.isOwn = true
            slot.isAstray = false
            return slot.decide(observation, at: now.steady, term: term)
        }
    }

    /// What is reported and told for the conditions of a policy.
    private func inputs(_ policy: ScalingPolicy, ready: Int, at now: Seconds) -> (
        resources: [String: Reading], parameters: [String: Reading]
    ) {
        guard !policy.columns.isEmpty else { return ([:], [:]) }
        return state.withLock { state in
            var resources: [String: Reading] = [:]
            var parameters: [String: Reading] = [:]
            for condition in policy.conditions {
                switch condition {
                case .resource(let one):
                    resources[one.name] = state.resources.reading(of: one.name, policy: policy.name, ready: ready, at: now)
                case .parameter(let one): parameters[one.name] = state.parameters.reading(of: one.name, at: now)
                case .queue, .window, .forecast: break
                }
            }
            return (resources, parameters)
        }
    }

    // MARK: Carrying out

    /// Four in a row get through.
    private static let attempts = 4

    /// Nil where nothing was to be done.
    private func carryOut(_ decision: Decision, _ index: Int, _ observed: Observed, in term: Int) async -> Effect? {
        guard let target = plans[index].target, var seen = observed.target, decision.standing?.forbids != true,
            decision.desired != seen.count.desired
        else { return nil }
        for _ in 0..<Self.attempts {
            // Another one may lead by now.
            guard self.term == term else { return Effect("not sent", text: "another server leads") }
            let order = ScaleOrder(
                policy: decision.policy, seq: decision.seq, term: term, count: decision.desired, fence: seen.fence,
                because: decision.because)
            let answer = await asked(target) { () -> Result<ScaleResult, TargetError> in
                do throws(TargetError) { return .success(try await target.scale(order)) } catch { return .failure(error) }
            }
            switch answer {
            case nil: return Effect("failed", text: "\(target.name) did not answer in time; the next look tells what became of it")
            case .failure(let error): return Effect("failed", text: error.message)
            case .success(.applied(let reference)): return Effect("applied", reference: reference)
            case .success(.unchanged): return Effect("unchanged")
            case .success(.locked(let what)): return Effect("locked", text: what)
            case .success(.throttled(let after)):
                let notBefore = clock.steady() + min(after ?? configuration.poll, 3600)
                slots[index].withLock { $0.notBefore = notBefore }
                return Effect("throttled", text: "asked to wait")
            case .success(.conflict(let what)):
                let again = await observe(index)
                guard let other = again.target else { return Effect("conflict", text: "\(what); then \(again.problem ?? "no answer")") }
                guard other.count.desired == seen.count.desired, other.owner == nil, other.locked == nil else {
                    return Effect("conflict", text: "\(what); somebody else set \(other.count.desired), which is left so for now")
                }
                seen = other
            }
        }
        return Effect("conflict", text: "somebody else wrote each time; the next poll tries again")
    }

    /// Writes down and tells what became of an order.
    private func note(_ effect: Effect, of decision: Decision, _ index: Int, in term: Int) async {
        let bytes = ScalingEvents.result(effect, of: decision, term: term, time: ScalingClock.rounded(clock.wall()))
        let text = String(decoding: bytes, as: UTF8.self)
        slots[index].withLock { slot in
            if slot.last?.seq == decision.seq { slot.result = text }
            if effect.outcome == "failed" { slot.targetProblem = effect.text }
        }
        if effect.outcome == "failed" {
            log.warning("an order was not carried out", ["policy": decision.policy, "reason": effect.text ?? ""])
        } else {
            log.info(
                "scaled",
                ["policy": decision.policy, "to": String(decision.desired), "result": effect.outcome, "because": decision.because])
        }
        try? await ledger.append([.result(policy: decision.policy, seq: decision.seq, text: text)], at: decision.time)
        _ = await tell(.result, of: decision.policy, bytes)
    }

    // MARK: Telling

    /// Publishes within a limit; false where the broker did not confirm.
    func tell(
        _ kind: ScalingEvents.Kind, of policy: String? = nil, id: String = Identifier.random(), _ payload: [UInt8],
        to destination: Destination = ScalingEvents.destination
    ) async -> Bool {
        let envelope = ScalingEvents.envelope(kind, server: configuration.server, key: policy, id: id, payload)
        let publish = { @Sendable [binder] () -> Result<PublishReceipt, BinderError> in
            do throws(BinderError) { return .success(try await binder.publish(envelope, to: destination)) } catch { return .failure(error) }
        }
        // The embedded broker answers from this process: a limit for each of thousands of events would cost more than they do.
        let answer = isRemote ? await withTimeLimit(.seconds(5), publish) : await publish()
        let problem: String
        switch answer {
        case .success: return true
        case .failure(let error): problem = error.message
        case nil: problem = "no confirm in time"
        }
        metrics.count("carillon_scaling_untold_total", ["type": kind.rawValue], help: "Events of scaling that the broker did not take.")
        log.warning("the broker does not take an event of scaling", ["type": kind.rawValue, "reason": problem])
        return false
    }

    private func tellShadow(_ index: Int, in term: Int) async {
        guard plans[index].shadow != nil, let shadow = slots[index].withLock({ $0.lastShadow }),
            let live = slots[index].withLock({ $0.last }),
            shadow.desired != live.desired
        else { return }
        _ = await tell(
            .signal, of: live.policy, id: "\(live.policy)/\(term)/\(live.seq)/shadow",
            ScalingEvents.signal(
                shadow, term: term, target: plans[index].targetName, mode: "shadow", expires: live.time + 2 * configuration.poll))
    }

    private func alert(_ index: Int, _ decision: Decision) async {
        let policy = plans[index].policy
        let alerts = slots[index].withLock { slot in
            slot.alerts.update(AlertBook.matters(decision, policy, reports: slot.reports, target: slot.targetProblem))
        }
        for alert in alerts {
            if let text = alert.text {
                log.warning("scaling needs a look", ["policy": policy.name, "kind": alert.kind.rawValue, "reason": text])
            } else {
                log.info("scaling is in order again", ["policy": policy.name, "kind": alert.kind.rawValue])
            }
            _ = await tell(.alert, of: policy.name, ScalingEvents.alert(alert, policy: policy.name, time: decision.time))
        }
    }
}
