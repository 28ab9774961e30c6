/// How the law sees one queue at one decision.
struct QueueView: Sendable {
    let condition: QueueCondition
    let reading: QueueReading
    /// Whether backlog and arrivals are both known.
    let isKnown: Bool
    /// Arrivals a second since the last reading.
    let latest: Double?
    let law: QueueLaw

    /// Nothing waits, is in hand or arrives.
    var isEmpty: Bool { isKnown && reading.backlog.value == 0 && latest == 0 }

    /// Something is known to wait, to be in hand or to arrive.
    var isBusy: Bool { (reading.backlog.value ?? 0) > 0 || (latest ?? 0) > 0 }

    private var partitions: Int? {
        if let told = reading.partitions.value, told >= 1, told < 1e6 { return Int(told) }
        return condition.partitions
    }

    func outcome(idleFor: Seconds, idle: Seconds) -> ConditionOutcome {
        guard let backlog = reading.backlog.value else {
            return ConditionOutcome(
                kind: "queue", ceiling: partitions, reason: "the backlog of `\(condition.destination)` is unknown", isUnknown: true)
        }
        if isEmpty, idleFor >= idle {
            return ConditionOutcome(
                kind: "queue", desired: 0, ceiling: partitions,
                reason: "nothing waits, is in hand or arrived in `\(condition.destination)` for \(Phrase.duration(idleFor))")
        }
        // Where nothing waits and nobody knows yet what comes, none is asked for: what is there stays, as always where something is unknown.
        let needed = max(isKnown || backlog > 0 ? 1 : 0, law.instances)
        let desired = partitions.map { QueueLaw.quantised(needed, partitions: $0) } ?? needed
        var reason = isKnown ? "\(Phrase.number(law.arrivals)) messages/s come" : "nobody has told yet how many come"
        reason += " and \(Phrase.number(backlog)) wait or are in hand"
        if law.excess > 0 {
            reason +=
                ", \(Phrase.number(law.excess)) too many after the dead time of \(Phrase.duration(law.deadTime)), to be drained in \(Phrase.duration(law.drainTime))"
        }
        reason += ": \(Phrase.number(law.need)) instances of \(Phrase.number(law.rate)) messages/s are needed"
        if needed > max(1, QueueLaw.whole(law.need)) { reason += ", and fewer than \(needed) would not do what waits in time" }
        if desired != needed, let partitions {
            reason += "; of \(partitions) partitions each can have as many as with \(desired)"
        }
        if !law.isFeasible, law.excess > 0 {
            reason +=
                "; the promise of \(Phrase.duration(law.limit)) is shorter than the dead time: what a burst brings before it is over is late"
        }
        if let oldest = reading.oldest.value, oldest > law.limit {
            reason += "; the oldest has waited for \(Phrase.duration(oldest)), longer than was promised"
        }
        return ConditionOutcome(kind: "queue", desired: desired, ceiling: partitions, reason: reason, isUnknown: !isKnown)
    }
}
