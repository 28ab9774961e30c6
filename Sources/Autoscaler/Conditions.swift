// What the conditions yield that need no memory.

extension ResourceCondition {
    func outcome(_ reading: Reading?, ready: Int) -> ConditionOutcome {
        guard let share = reading?.value else {
            return ConditionOutcome(kind: "resource", reason: "`\(name)` is unknown", isUnknown: true)
        }
        // The share is a mean over those ready: times their number it is the load, whatever their number is.
        let desired = QueueLaw.whole(Double(ready) * share / target)
        return ConditionOutcome(
            kind: "resource", desired: desired,
            reason:
                "`\(name)` is \(Phrase.number(share * 100)) % on \(Phrase.instances(ready)), \(Phrase.number(target * 100)) % is wanted")
    }
}

extension ParameterCondition {
    func outcome(_ reading: Reading?, at time: Seconds) -> ConditionOutcome {
        guard let value = reading?.value else {
            return ConditionOutcome(kind: "parameter", reason: "`\(name)` is unknown", isUnknown: true)
        }
        switch rule {
        case .amount(let share):
            return ConditionOutcome(
                kind: "parameter", floor: QueueLaw.whole(value / share),
                reason: "`\(name)` is \(Phrase.number(value)), one instance for each \(Phrase.number(share))")
        case .deadline(let floor, let ramp, let tail):
            guard value > 0, time < value + tail else {
                return ConditionOutcome(kind: "parameter", reason: value > 0 ? "`\(name)` is over" : "`\(name)` is not set")
            }
            guard time >= value - ramp else {
                return ConditionOutcome(
                    kind: "parameter", reason: "`\(name)` is in \(Phrase.duration(value - time))", expires: value - ramp)
            }
            guard time < value else {
                return ConditionOutcome(
                    kind: "parameter", floor: floor, reason: "`\(name)` was \(Phrase.duration(time - value)) ago", expires: value + tail)
            }
            let share = ramp > 0 ? (time - (value - ramp)) / ramp : 1
            return ConditionOutcome(
                kind: "parameter", floor: QueueLaw.whole(Double(floor) * share), reason: "`\(name)` is in \(Phrase.duration(value - time))",
                expires: value + tail)
        }
    }
}
