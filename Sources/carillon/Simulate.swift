import Autoscaler
import Foundation
import Options
import ScalingFormats
import Settings

/// `carillon simulate`: what a scaling policy would have cost.
enum Simulate: Verb {
    static let command = Command(
        "simulate", summary: "Plays recorded arrivals against a scaling policy.",
        explanation: """
            Says beforehand what a policy costs, what share of the messages it lets wait too long, and how restless it is. The history is CSV with a
            header: `time` (seconds or RFC 3339, rising) and `published` (messages since the recording began; a lower number than before counts from 0
            again; empty: the source did not answer). FILE#NAME names a policy where the section `scaling:` of FILE has several. With --table the laws
            of other autoscalers are compared on made-up arrivals.
            """,
        options: [
            .init("policy", value: "FILE[#NAME]", "settings with the policy, under `scaling:`"),
            .init("history", value: "FILE", "the recorded arrivals"),
            .init("against", value: "FILE[#NAME]", "another policy, on the same arrivals"),
            .init("rate", value: "N", "messages a second that an instance really does, where the policy is wrong about it"),
            .init("start", value: "TIME", "from the order of an instance to ready, likewise: 45s"),
            .init("svg", value: "FILE", "write the chart there"),
            .init("decisions", value: "FILE", "decide again what was recorded: decisions as `/scaling/POLICY/decisions` gives them"),
            .init("table", "compare the shipped law with others"),
            .init("json", "for programs: every decision with its reasons"),
        ],
        examples: [
            "carillon simulate --policy carillon.yaml --history monday.csv --svg monday.svg",
            "carillon simulate --policy carillon.yaml#orders --against new.yaml#orders --history monday.csv",
            "carillon simulate --policy carillon.yaml#orders --decisions monday.json",
            "carillon simulate --table",
        ])

    /// A longer one would keep every decision in memory.
    private static let maximumSteps = 5_000_000.0

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        if invocation.has("table") { return try table(invocation, terminal) }
        if invocation.has("decisions") {
            guard let file = invocation.value("policy") else { throw Failure("`simulate --decisions` needs --policy FILE[#NAME]", code: 2) }
            return try Redecide.run(try policy(file), invocation, terminal)
        }
        guard let policyFile = invocation.value("policy"), let historyFile = invocation.value("history") else {
            throw Failure("`simulate` needs --policy FILE and --history FILE, or --table", code: 2)
        }
        let rate = try rate(invocation)
        let start = try invocation.duration("start").map { $0 / .seconds(1) }
        let policy = try policy(policyFile)
        let other = try invocation.value("against").map { try Self.policy($0) }
        let history = try history(historyFile, for: [policy] + (other.map { [$0] } ?? []))

        let simulation = Simulation(policy, history: history, rate: rate, start: start)
        let isJSON = invocation.has("json")
        var decisions: [Decision] = []  // only where they are shown: those of a long history are many
        let run = simulation.run(noting: { if isJSON { decisions.append($0) } })
        let against = other.map { (name: $0.name, run: Simulation($0, history: history, rate: rate, start: start).run(noting: { _ in })) }
        if let path = invocation.value("svg") {
            let title = "\(policy.name): \(URL(fileURLWithPath: historyFile).lastPathComponent)"
            let drawing = SimulationChart(run.samples, poll: policy.poll).svg(title: title)
            do { try Data(drawing.utf8).write(to: URL(fileURLWithPath: path)) } catch {
                throw Failure("cannot write the chart to \(path): is the folder there, and may it be written to?")
            }
        }
        if isJSON {
            let report = SimulationReport(
                policy: policy, summary: run.summary, against: against.map { ($0.name, $0.run.summary) }, decisions: decisions,
                hasDates: history.hasDates)
            terminal.print(report.json)
        } else {
            terminal.print(
                SimulationText.report(
                    [(policy.name, run)] + (against.map { [("against: " + $0.name, $0.run)] } ?? []), poll: policy.poll), end: "")
        }
        return 0
    }

    private static func table(_ invocation: Invocation, _ terminal: Terminal) throws -> Int32 {
        for option in ["policy", "history", "decisions", "against", "rate", "start", "svg"] where invocation.has(option) {
            throw Failure("`--table` has its own arrivals and policies: leave out `--\(option)`", code: 2)
        }
        let table = ComparisonTable()
        terminal.print(invocation.has("json") ? SimulationReport.json(of: table) : SimulationText.comparison(table), end: "")
        if invocation.has("json") { terminal.print("") }
        return 0
    }

    private static func rate(_ invocation: Invocation) throws -> Double? {
        guard let text = invocation.value("rate") else { return nil }
        guard let rate = Double(text), rate >= 1e-6, rate <= 1e9 else {
            throw Failure("`--rate` needs messages a second of one instance, such as 10 or 0.5, not `\(text)`", code: 2)
        }
        return rate
    }

    /// `FILE` or `FILE#NAME`.
    private static func policy(_ text: String) throws -> ScalingPolicy {
        let parts = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        do throws(SettingsError) {
            let section = try ScalingSection.read(parts[0], environment: ProcessInfo.processInfo.environment)
            return try section.entry(named: parts.count > 1 ? parts[1] : nil, of: parts[0]).policy
        } catch {
            throw Failure(error.message, code: 2)
        }
    }

    private static func history(_ path: String, for policies: [ScalingPolicy]) throws -> History {
        var columns: [String] = []
        for policy in policies {
            guard policy.queues.count <= 1 else {
                throw Failure(
                    "a history tells of one queue, and `\(policy.name)` has \(policy.queues.count) conditions of that kind", code: 2)
            }
            for column in policy.columns where !columns.contains(column) { columns.append(column) }
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure("the history \(path) cannot be read; is the path right?", code: 2)
        }
        let history: History
        do throws(HistoryError) { history = try HistoryReader.read(Array(data), file: path, columns: columns) } catch {
            throw Failure(error.description, code: 2)
        }
        for policy in policies where (history.end - history.begin) / policy.poll > maximumSteps {
            throw Failure(
                "\(path) is longer than \(Int(maximumSteps)) polls of `\(policy.name)`: cut it, or set a longer `scaling.poll`", code: 2)
        }
        return history
    }
}
