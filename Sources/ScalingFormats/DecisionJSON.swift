package import Autoscaler
package import ConfigModel

/// The one form that decisions have outside: in events, in answers, in files.
package enum DecisionJSON {
    /// How moments are written.
    package enum Times: Sendable {
        case dates
        /// As numbers, for recordings whose times count from anything.
        case seconds
    }

    package static func write(_ decision: Decision, times: Times = .dates, to writer: inout JSONWriter) {
        writer.raw("{")
        members(of: decision, times: times, to: &writer)
        writer.raw("}")
    }

    /// What stands between the braces: for forms that say more besides.
    package static func members(of decision: Decision, times: Times = .dates, to writer: inout JSONWriter) {
        writer.raw("\"seq\":")
        writer.raw(text: String(decision.seq))
        writer.raw(",\"time\":")
        moment(decision.time, times, &writer)
        writer.raw(",\"elapsed\":")
        number(decision.elapsed, &writer)
        writer.raw(",\"policy\":")
        writer.string(decision.policy)
        writer.raw(",\"current\":")
        if let current = decision.current {
            writer.raw(text: "{\"desired\":\(current.desired),\"ready\":\(current.ready),\"starting\":\(current.starting)}")
        } else {
            writer.raw("null")
        }
        if let standing = decision.standing { write(standing, times, &writer) }
        writer.raw(text: ",\"desired\":\(decision.desired),\"outcome\":\"\(decision.outcome.rawValue)\",\"inputs\":{")
        list(decision.inputs, &writer) { input, writer in
            writer.string(input.name)
            writer.raw(":{\"value\":")
            number(input.value, &writer)
            writer.raw(",\"age\":")
            number(input.age, &writer)
            if let confidence = input.confidence {
                writer.raw(",\"confidence\":")
                number(confidence, &writer)
            }
            writer.raw("}")
        }
        writer.raw("},\"conditions\":[")
        list(decision.conditions, &writer) { condition, writer in write(condition, times, &writer) }
        writer.raw("],\"won\":")
        writer.string(decision.won)
        writer.raw(",\"clamps\":[")
        list(decision.clamps, &writer) { clamp, writer in
            writer.raw("{\"name\":")
            writer.string(clamp.name)
            writer.raw(text: ",\"from\":\(clamp.from),\"to\":\(clamp.to)}")
        }
        writer.raw("],\"because\":")
        writer.string(decision.because)
        writer.raw(",\"unless\":{\"up\":")
        writer.string(decision.unless.up)
        writer.raw(",\"down\":")
        writer.string(decision.unless.down)
        writer.raw("}")
    }

    private static func write(_ standing: Standing, _ times: Times, _ writer: inout JSONWriter) {
        writer.raw(",\"standing\":{\"kind\":")
        writer.string(standing.kind)
        switch standing {
        case .owned(let text), .locked(let text):
            writer.raw(",\"by\":")
            writer.string(text)
        case .held(let until):
            writer.raw(",\"until\":")
            moment(until, times, &writer)
        case .set(let count, let until):
            writer.raw(text: ",\"count\":\(count),\"until\":")
            moment(until, times, &writer)
        }
        writer.raw("}")
    }

    private static func write(_ condition: ConditionOutcome, _ times: Times, _ writer: inout JSONWriter) {
        func count(_ count: Int?) -> String { count.map(String.init) ?? "null" }
        writer.raw("{\"kind\":")
        writer.string(condition.kind)
        writer.raw(
            text:
                ",\"floor\":\(count(condition.floor)),\"desired\":\(count(condition.desired)),\"ceiling\":\(count(condition.ceiling)),\"reason\":"
        )
        writer.string(condition.reason)
        if let expires = condition.expires {
            writer.raw(",\"expires\":")
            moment(expires, times, &writer)
        }
        if condition.isUnknown { writer.raw(",\"unknown\":true") }
        writer.raw("}")
    }

    private static func list<Item>(
        _ items: [Item], _ writer: inout JSONWriter, _ write: (Item, inout JSONWriter) -> Void
    ) {
        for (index, item) in items.enumerated() {
            if index > 0 { writer.raw(",") }
            write(item, &writer)
        }
    }

    private static func moment(_ time: Seconds, _ times: Times, _ writer: inout JSONWriter) {
        switch times {
        case .dates: writer.string(TimeText.render(time))
        case .seconds: number(time, &writer)
        }
    }

    /// A number with all its digits, so that it can be read again as the same; nil is unknown.
    package static func number(_ value: Double?, _ writer: inout JSONWriter) {
        guard let value, value.isFinite else { return writer.raw("null") }
        if value.rounded() == value, abs(value) < 1e15 { return writer.raw(text: String(Int(value))) }
        writer.raw(text: "\(value)")
    }
}
