import Autoscaler
import JSON
import Options
import ScalingFormats

/// What `carillon scale` tells people.
enum ScaleText {
    private static func value(_ bytes: [UInt8]) throws -> JSONValue {
        do { return try JSONReader.read(bytes) } catch {
            throw Failure("the server's answer cannot be read: \(error); is it a Carillon of another version?")
        }
    }

    private static func text(_ value: JSONValue?) -> String { value?.scalarText ?? "-" }

    static func list(_ bytes: [UInt8]) throws -> String {
        let policies = try value(bytes).items
        guard !policies.isEmpty else { return "no policies: the settings of the server name none under scaling.policies\n" }
        let heads = ["POLICY", "TARGET", "MIN", "MAX", "BACKLOG", "OLDEST", "DESIRED", "READY", "STARTING", "OUTCOME", "HELD"]
        let rows = policies.map { one in
            ["policy", "target", "min", "max", "backlog", "oldest", "desired", "ready", "starting", "outcome"].map { name in
                let text = text(one[name])
                return name == "oldest" && text != "-" ? seconds(text) : text
            } + [held(one["held"]) ?? "-"]
        }
        return TextTable(heads, rows).text
    }

    private static func held(_ value: JSONValue?) -> String? {
        guard let value, case .object = value else { return nil }
        let what = value["kind"]?.string == "set" ? "set to \(text(value["count"]))" : "hold"
        return "\(what) until \(text(value["until"]))"
    }

    static func change(_ bytes: [UInt8]) throws -> String {
        let value = try value(bytes)
        let policy = text(value["policy"])
        let line = held(value["held"]).map { "\(policy): \($0)" } ?? "\(policy): the policy decides"
        return line + (value["message"]?.string.map { "\n\($0)" } ?? "")
    }

    /// A decision as a story: what was decided and why, what each condition asked for, and what it was made from.
    static func explanation(_ bytes: [UInt8]) throws -> String {
        let value = try value(bytes)
        guard value["seq"]?.integer != nil else {
            let why = value["leading"] == .boolean(false) ? "; server \(text(value["leader"])) decides" : ""
            return "\(text(value["policy"])): nothing has been decided here yet\(why)\n"
        }
        let decision: Decision
        do { decision = try DecisionJSON.read(value) } catch {
            throw Failure("the server's answer cannot be read: \(error.description); is it a Carillon of another version?")
        }
        var lines = ["\(decision.policy) \(decision.because)"]
        lines.append("  decision \(decision.seq) at \(TimeText.render(decision.time)): \(decision.outcome.rawValue), by \(decision.won)")
        if let current = decision.current {
            lines.append("  instances: \(current.desired) wanted until then, \(current.ready) ready, \(current.starting) starting")
        } else {
            lines.append("  instances: unknown\(value["targetProblem"]?.string.map { ": \($0)" } ?? "")")
        }
        for condition in decision.conditions {
            let asks = [("at least", condition.floor), ("", condition.desired), ("at most", condition.ceiling)].compactMap { word, count in
                count.map { word.isEmpty ? "\($0)" : "\(word) \($0)" }
            }
            lines.append("  \(condition.kind): \(asks.isEmpty ? "nothing" : asks.joined(separator: ", ")); \(condition.reason)")
        }
        for clamp in decision.clamps { lines.append("  \(clamp.name): \(clamp.from) became \(clamp.to)") }
        lines.append("  from: " + decision.inputs.map(input).joined(separator: ", "))
        lines.append("  one more with: \(decision.unless.up)")
        lines.append("  one fewer with: \(decision.unless.down)")
        if let result = value["result"], case .object = result {
            lines.append("  what became of it: \(text(result["outcome"]))\(result["text"]?.string.map { ", \($0)" } ?? "")")
        }
        lines += present(value)
        return lines.joined(separator: "\n") + "\n"
    }

    private static func input(_ input: Decision.Input) -> String {
        guard let value = input.value else { return "\(input.name) unknown" }
        var text = "\(input.name) \(number(value))"
        if input.age >= 1 { text += " (\(number(input.age))s old)" }
        if let confidence = input.confidence { text += confidence < 0.005 ? " (believed)" : " (learned, \(number(confidence * 100)) %)" }
        return text
    }

    private static func present(_ value: JSONValue) -> [String] {
        var lines: [String] = []
        if let held = held(value["held"]) { lines.append("  an operator: \(held)") }
        if let owner = value["owner"]?.string { lines.append("  owner: \(owner) decides this count; remove it to let the policy decide") }
        if let pending = value["pending"]?.string { lines.append("  not starting: \(pending)") }
        for source in value["sources"]?.items ?? [] {
            for text in [source["problem"]?.string, source["note"]?.string].compactMap({ $0 }) {
                lines.append("  \(Self.text(source["destination"])): \(text)")
            }
        }
        for alert in value["alerts"]?.items ?? [] where alert["kind"]?.string != "source" {
            lines.append("  alert, \(text(alert["kind"])): \(text(alert["text"]))")
        }
        if let shadow = value["shadow"], case .object = shadow {
            lines.append(
                "  shadow \(text(shadow["policy"])): would have \(text(shadow["decision"]?["desired"])); in \(seconds(text(shadow["time"]))) it would have cost "
                    + "\(seconds(text(shadow["shadowCost"]))) of instances instead of \(seconds(text(shadow["liveCost"]))), "
                    + "and been late for \(seconds(text(shadow["shadowLate"]))) instead of \(seconds(text(shadow["liveLate"])))")
        }
        return lines
    }

    private static func number(_ value: Double) -> String {
        let tenths = (value * 10).rounded() / 10
        return abs(tenths) < 1e15 && tenths == tenths.rounded() ? String(Int(tenths)) : "\(tenths)"
    }

    private static func seconds(_ text: String) -> String { Double(text).map { number($0) + "s" } ?? text }
}
