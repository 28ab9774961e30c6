import BinderConformance
import Binders
import Foundation
import Lifecycle
import Options
import Settings
import Streams
import Telemetry

/// `carillon conform`: the conformance suite against a broker.
enum Conform: Verb {
    static let command = Command(
        "conform", summary: "Proves what a broker does: runs the conformance suite against it.",
        explanation: """
            Each case publishes to destinations of its own, named case-…, and removes them afterwards where the broker lets it. Connections are
            reset, held up, silenced and refused by a proxy within this program: the broker itself is neither stopped nor filled, and other
            clients notice nothing but the load. A case is skipped only for a capability that the binder or the broker does not have, by name.
            Exit code 0: all cases that ran passed; 1: some failed, or the broker cannot be reached.
            """,
        options: [
            .init("binder", value: "URI", "the broker: \(Broker.uris)"),
            .init("only", value: "ID,ID", "run these cases only, such as A1,E4, or all of a letter: A,E"),
            .init("list", "show the cases and what they need, and run none"),
            .init("json", "for programs"),
            .init("token-file", value: "FILE", "file with the token that an http server asks for", environment: "CARILLON_TOKEN_FILE"),
            .init("ca", value: "FILE", "certificates (PEM) that an https server's is checked against", environment: "CARILLON_CA"),
        ],
        examples: [
            "carillon conform --binder amqp://guest:guest@localhost:5672/%2F", "carillon conform --binder local: --only A,G5 --json",
            "carillon conform --list",
        ])

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        let cases = try chosen(invocation.value("only"))
        let isJSON = invocation.has("json")
        if invocation.has("list") {
            terminal.print(isJSON ? ConformText.json(cases) : ConformText.list(cases), end: isJSON ? "\n" : "")
            return 0
        }
        guard let text = invocation.value("binder") else { throw Failure("`conform` needs --binder URI: \(Broker.uris)", code: 2) }
        let uri: BinderURI
        do { uri = try BinderURI(text) } catch { throw Failure(error.message, code: 2) }
        let token = try invocation.value("token-file").map { try Server.token(in: $0) }
        let place = try ConformPlace(uri, token: token, authorityFile: invocation.value("ca"))
        defer { place.cleanUp() }
        let bench = try place.bench()
        let wide = place.sharesByPartitions ? try place.bench(isWide: true) : nil
        let progress = ConformProgress(count: cases.count, isSilent: isJSON, terminal)
        let trial = ConformTrial(bench: bench, wide: wide, place: place, cases: cases, progress: progress)
        let binders = uri.isEmbedded ? [bench.binder] : [bench.binder, bench.peer] + (wide.map { [$0.binder, $0.peer] } ?? [])
        try await ServiceGroup(name: "conform", binders + [trial]).runUntilSignal()
        progress.clear()
        if let reason = trial.unreachable { throw Failure("\(bench.binder.name) cannot be reached: \(reason)\(Broker.remedy(invocation))") }
        guard let report = trial.report, report.results.count == cases.count else { throw Failure("interrupted: not all cases were run") }
        if isJSON {
            terminal.print(ConformText.json(report, lacking: bench.lacking, took: trial.took))
        } else {
            terminal.print(report.table)
            terminal.print(ConformText.summary(report, took: trial.took))
        }
        return report.failures.isEmpty ? 0 : 1
    }

    /// The cases that `--only` names, in their order; all without it.
    static func chosen(_ only: String?) throws -> [BinderCase] {
        guard let only else { return BinderCases.all }
        let words = only.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces).uppercased() }
        let letters = Set(BinderCases.all.map { String($0.id.prefix(1)) })
        let known = letters.union(BinderCases.all.map(\.id))
        if let unknown = words.first(where: { !known.contains($0) }) ?? (words.isEmpty ? only : nil) {
            throw Failure("there is no case `\(unknown)`: `carillon conform --list` shows them", code: 2)
        }
        return BinderCases.all.filter { words.contains($0.id) || words.contains(String($0.id.prefix(1))) }
    }
}
