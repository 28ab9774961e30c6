internal import Autoscaler
internal import ConfigModel
internal import ScalingFormats

/// Policies as answers show them.
enum PolicyJSON {
    /// One of the list: what there is now.
    static func summary(_ view: PolicyView, to writer: inout JSONWriter) {
        writer.raw("{")
        members(view, to: &writer)
        writer.raw(",\"desired\":")
        DecisionJSON.number(view.last.map { Double($0.desired) }, &writer)
        writer.raw(",\"outcome\":")
        writer.string(view.last?.outcome.rawValue)
        writer.raw("}")
    }

    private static func members(_ view: PolicyView, to writer: inout JSONWriter) {
        writer.raw("\"policy\":")
        writer.string(view.policy.name)
        writer.raw(",\"target\":")
        writer.string(view.target)
        writer.raw(text: ",\"min\":\(view.policy.minimum),\"max\":\(view.policy.maximum),\"backlog\":")
        DecisionJSON.number(view.backlog, &writer)
        writer.raw(",\"oldest\":")
        DecisionJSON.number(view.oldest, &writer)
        writer.raw(",\"ready\":")
        DecisionJSON.number(view.last?.current.map { Double($0.ready) }, &writer)
        writer.raw(",\"starting\":")
        DecisionJSON.number(view.last?.current.map { Double($0.starting) }, &writer)
        writer.raw(",\"held\":")
        guard let override = view.override else { return writer.raw("null") }
        writer.raw("{\"kind\":")
        writer.string(override.name)
        writer.raw(",\"count\":")
        DecisionJSON.number(override.count.map(Double.init), &writer)
        writer.raw(",\"until\":")
        writer.string(TimeText.render(override.until))
        writer.raw("}")
    }

    /// One policy whole: what there is now, and the members of its decision beside it. `decision`: one of the past, in place of the last.
    static func whole(_ view: PolicyView, decision: Decision?, result: String?, leader: String?, isLeading: Bool, isPast: Bool) -> [UInt8] {
        var writer = JSONWriter(capacity: 3000)
        writer.raw("{")
        if let decision {
            DecisionJSON.members(of: decision, to: &writer)
        } else {
            writer.raw("\"seq\":null,\"desired\":null,\"outcome\":null")
        }
        if isPast {
            writer.raw(text: ",\"min\":\(view.policy.minimum),\"max\":\(view.policy.maximum),\"target\":")
            writer.string(view.target)
        } else {
            var rest = JSONWriter(capacity: 500)
            members(view, to: &rest)
            // The name stands among the members of the decision.
            let name = decision == nil ? 0 : "\"policy\":".utf8.count + quotedLength(view.policy.name) + 1
            writer.raw(",")
            writer.raw(text: String(decoding: rest.bytes.dropFirst(name), as: UTF8.self))
        }
        writer.raw(",\"result\":")
        writer.raw(text: result ?? "null")
        if !isPast { present(view, leader: leader, isLeading: isLeading, to: &writer) }
        writer.raw("}")
        return writer.bytes
    }

    private static func quotedLength(_ text: String) -> Int { JSONWriter.escaped(text).utf8.count + 2 }

    private static func present(_ view: PolicyView, leader: String?, isLeading: Bool, to writer: inout JSONWriter) {
        writer.raw(",\"promise\":")
        DecisionJSON.number(view.policy.promise, &writer)
        writer.raw(",\"promiseKept\":")
        writer.raw(text: view.isPromiseKept.map { $0 ? "true" : "false" } ?? "null")
        for (name, text) in [("owner", view.owner), ("pending", view.pending), ("targetProblem", view.targetProblem), ("leader", leader)] {
            writer.raw(text: ",\"\(name)\":")
            writer.string(text)
        }
        writer.raw(text: ",\"leading\":\(isLeading),\"sources\":[")
        for (index, report) in view.reports.enumerated() {
            if index > 0 { writer.raw(",") }
            writer.raw("{\"destination\":")
            writer.string(view.policy.queues.indices.contains(index) ? view.policy.queues[index].destination : "")
            for (name, text) in [("problem", report.problem), ("note", report.note)] {
                writer.raw(text: ",\"\(name)\":")
                writer.string(text)
            }
            writer.raw(",\"members\":")
            DecisionJSON.number(report.members.map(Double.init), &writer)
            writer.raw(",\"stuck\":[")
            for (index, text) in report.stuck.enumerated() {
                if index > 0 { writer.raw(",") }
                writer.string(text)
            }
            writer.raw("]}")
        }
        writer.raw("],\"alerts\":[")
        for (index, alert) in view.alerts.sorted(by: { $0.key.rawValue < $1.key.rawValue }).enumerated() {
            if index > 0 { writer.raw(",") }
            writer.raw("{\"kind\":")
            writer.string(alert.key.rawValue)
            writer.raw(",\"text\":")
            writer.string(alert.value)
            writer.raw("}")
        }
        writer.raw("],\"shadow\":")
        shadow(view, to: &writer)
    }

    private static func shadow(_ view: PolicyView, to writer: inout JSONWriter) {
        guard let shadow = view.shadow else { return writer.raw("null") }
        let report = shadow.report
        writer.raw("{\"policy\":")
        writer.string(shadow.state.policy.name)
        for (name, number) in [
            ("time", report.time), ("liveCost", report.liveCost), ("shadowCost", report.shadowCost), ("regret", report.regret),
            ("liveLate", report.liveLate), ("shadowLate", report.shadowLate),
        ] {
            writer.raw(text: ",\"\(name)\":")
            DecisionJSON.number((number * 1000).rounded() / 1000, &writer)
        }
        writer.raw(",\"decision\":")
        if let last = view.lastShadow { DecisionJSON.write(last, to: &writer) } else { writer.raw("null") }
        writer.raw("}")
    }
}
