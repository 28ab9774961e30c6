package import Autoscaler
package import JSON

extension DecisionJSON {
    /// A value that is no decision: says what is missing.
    package struct Unreadable: Error, Sendable, Equatable, CustomStringConvertible {
        package let description: String
    }

    package static func read(_ value: JSONValue) throws(Unreadable) -> Decision {
        guard let seq = integer(value["seq"]), let policy = value["policy"]?.string, let desired = integer(value["desired"]),
            let outcome = value["outcome"]?.string.flatMap(Decision.Outcome.init(rawValue:)), let time = moment(value["time"]),
            let elapsed = number(value["elapsed"])
        else { throw Unreadable(description: "a decision has seq, time, elapsed, policy, desired and outcome") }
        return Decision(
            seq: seq, time: time, elapsed: elapsed, policy: policy, current: try current(value["current"]), desired: desired,
            outcome: outcome, inputs: try inputs(value["inputs"]), conditions: try (value["conditions"]?.items ?? []).map(condition),
            won: value["won"]?.string ?? "", clamps: try (value["clamps"]?.items ?? []).map(clamp), because: value["because"]?.string ?? "",
            unless: Decision.Unless(up: value["unless"]?["up"]?.string ?? "", down: value["unless"]?["down"]?.string ?? ""),
            standing: try standing(value["standing"]))
    }

    private static func standing(_ value: JSONValue?) throws(Unreadable) -> Standing? {
        guard let value, value != .null else { return nil }
        switch (value["kind"]?.string, value["by"]?.string, moment(value["until"])) {
        case ("owner", let by?, _): return .owned(by)
        case ("locked", let by?, _): return .locked(by)
        case ("hold", _, let until?): return .held(until: until)
        case ("set", _, let until?): if let count = integer(value["count"]) { return .set(count, until: until) }
        default: break
        }
        throw Unreadable(description: "`standing` has a kind: owner or locked with `by`, hold or set with `until`, set with `count`")
    }

    private static func current(_ value: JSONValue?) throws(Unreadable) -> InstanceCount? {
        guard let value, value != .null else { return nil }
        guard let desired = integer(value["desired"]), let ready = integer(value["ready"]), let starting = integer(value["starting"]) else {
            throw Unreadable(description: "`current` has desired, ready and starting")
        }
        return InstanceCount(desired: desired, ready: ready, starting: starting)
    }

    private static func inputs(_ value: JSONValue?) throws(Unreadable) -> [Decision.Input] {
        guard case .object(let members) = value else { throw Unreadable(description: "`inputs` is an object of numbers with their ages") }
        return members.map { field in
            Decision.Input(
                field.name, number(field.value["value"]), age: number(field.value["age"]) ?? 0,
                confidence: number(field.value["confidence"]))
        }
    }

    private static func condition(_ value: JSONValue) throws(Unreadable) -> ConditionOutcome {
        guard let kind = value["kind"]?.string, let reason = value["reason"]?.string else {
            throw Unreadable(description: "a condition has a kind and a reason")
        }
        return ConditionOutcome(
            kind: kind, floor: integer(value["floor"]), desired: integer(value["desired"]), ceiling: integer(value["ceiling"]),
            reason: reason, expires: moment(value["expires"]), isUnknown: value["unknown"] == .boolean(true))
    }

    private static func clamp(_ value: JSONValue) throws(Unreadable) -> Decision.Clamp {
        guard let name = value["name"]?.string, let from = integer(value["from"]), let to = integer(value["to"]) else {
            throw Unreadable(description: "a clamp has name, from and to")
        }
        return Decision.Clamp(name, from: from, to: to)
    }

    private static func integer(_ value: JSONValue?) -> Int? {
        guard case .number(let digits) = value else { return nil }
        return Int(digits)
    }

    private static func number(_ value: JSONValue?) -> Double? {
        guard case .number(let digits) = value else { return nil }
        return Double(digits)
    }

    private static func moment(_ value: JSONValue?) -> Seconds? {
        number(value) ?? value?.string.flatMap { TimeText.parse($0) }
    }
}
