/// What a decision says of itself.
struct Account {
    let policy: ScalingPolicy
    let outcomes: [ConditionOutcome]
    let view: QueueView?
    let choice: Choice
    let held: Int
    let outcome: Decision.Outcome
    let isForeign: Bool
    let isTargetKnown: Bool
    let isUnknown: Bool
    let deadTime: Seconds
    let standing: Standing?
    let time: Seconds

    private var winner: ConditionOutcome? {
        guard let most = outcomes.map(\.asked).max() else { return nil }
        return outcomes.first { $0.asked == most }
    }

    private func clamped(_ name: String) -> Bool { choice.clamps.contains { $0.name == name } }

    /// The kind of the condition that the count is due to, or what stood above all conditions.
    var won: String {
        if !isTargetKnown { return "target" }
        if let standing, standing.forbids { return standing.kind }
        if isForeign { return "foreign" }
        if let standing { return standing.kind }
        for name in ["fallback", "unknown"] where clamped(name) { return name }
        if choice.clamps.last?.name == "min" { return "min" }
        return winner?.kind ?? "min"
    }

    var because: String {
        let count = Phrase.instances(choice.count)
        let head: String
        switch outcome {
        case .up, .down: head = "from \(held) to \(count)"
        case .same: head = "stays at \(count)"
        case .hold: head = "holds \(count)"
        }
        return head + ": " + ([reason] + choice.clamps.filter { $0.name != "set" }.map(phrase)).joined(separator: "; ")
    }

    private var reason: String {
        if !isTargetKnown { return "the orchestrator does not say how many there are" }
        if let standing, standing.forbids { return standing.reason(at: time) }
        if isForeign { return "somebody else set \(held), which is left so for now" }
        if let standing { return standing.reason(at: time) }
        let missing = outcomes.filter(\.isUnknown).map(\.reason)
        if !missing.isEmpty, choice.count <= held || clamped("fallback") { return missing.joined(separator: "; ") }
        return winner?.reason ?? "no condition asks for any"
    }

    private func phrase(_ clamp: Decision.Clamp) -> String {
        switch clamp.name {
        case "down-window": "\(clamp.to) were asked for within the last \(Phrase.duration(policy.downWindow))"
        case "dead-time": "the last step up is less than \(Phrase.duration(deadTime)) ago"
        case "deadband": "\(clamp.to - clamp.from) fewer are no more than chance"
        case "ceiling": "no more than \(clamp.to) by a ceiling"
        case "fallback": "unknown for so long that the policy wants \(clamp.to)"
        case "unknown": "what is not known takes none away"
        case "min": "the policy wants at least \(clamp.to)"
        default: "the policy allows at most \(clamp.to)"
        }
    }

    var unless: Decision.Unless {
        if !isTargetKnown { return Decision.Unless(up: "an answer of the orchestrator", down: "an answer of the orchestrator") }
        if isForeign, standing?.forbids != true { return Decision.Unless(up: "the next decision", down: "the next decision") }
        if let standing { return Decision.Unless(up: standing.end, down: standing.end) }
        return Decision.Unless(up: up, down: down)
    }

    private var up: String {
        if choice.count >= policy.maximum { return "nothing: the policy allows at most \(policy.maximum)" }
        if clamped("ceiling") { return "the end of the ceiling" }
        guard let view, view.isKnown else { return isUnknown ? "a reading that asks for more" : "a condition that asks for more" }
        if choice.count == 0 { return "one message" }
        let law = view.law
        return "more than \(Phrase.number(law.backlogAbove(choice.count))) waiting or in hand, or more than "
            + "\(Phrase.number(law.arrivalsAbove(choice.count))) messages/s"
    }

    private var down: String {
        if choice.count <= policy.minimum { return "nothing: the policy wants at least \(policy.minimum)" }
        if isUnknown { return "a reading that asks for fewer" }
        let timed = zip(policy.conditions, outcomes).filter { $0.0.isTimed && $0.1.asked >= choice.count }
        if let (_, floor) = timed.first { return "an end of this: \(floor.reason)" }
        guard let view else { return "conditions that ask for fewer" }
        if choice.count == 1 {
            return "nothing waiting, in hand or arriving for \(Phrase.duration(policy.idle))"
        }
        let law = view.law
        var text = "less than \(Phrase.number(law.arrivalsAbove(choice.count - 1))) messages/s"
        let spare = Double(choice.count - 1) - law.arrivals / (QueueLaw.utilisation * law.rate)
        if spare >= 0 { text += " or less than \(Phrase.number(law.backlogAbove(choice.count - 1))) waiting or in hand" }
        return text + ", for \(Phrase.duration(policy.downWindow))"
    }
}
