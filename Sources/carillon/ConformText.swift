import BinderConformance
import Foundation
import Streams

/// What `carillon conform` prints beside the table.
enum ConformText {
    static func list(_ cases: [BinderCase]) -> String {
        cases.map { one in
            let needs = one.needs.names
            let id = one.id.padding(toLength: 5, withPad: " ", startingAt: 0)
            return "\(id)\(one.title)\(needs.isEmpty ? "" : " — needs \(needs.joined(separator: ", "))")\n"
        }.joined()
    }

    /// `rabbitmq: 70 passed, 0 failed, 6 skipped in 58 s`
    static func summary(_ report: ConformanceReport, took: Duration) -> String {
        "\(report.binder): \(report.passed) passed, \(report.failures.count) failed, \(report.skipped) skipped in \(took.components.seconds) s"
    }

    private struct Listed: Encodable {
        var id: String
        var title: String
        var needs: [String]
    }

    private struct Result: Encodable {
        var id: String
        var title: String
        var result: String
        var seconds: Double
        /// What was found, of a case that failed.
        var found: String?
        /// Which capabilities were missing, of a case that was skipped.
        var without: [String]?
    }

    private struct Report: Encodable {
        var binder: String
        var capabilities: [String]
        /// What the binder can do and this broker does not offer.
        var lacking: [String]
        var passed: Int
        var failed: Int
        var skipped: Int
        var seconds: Double
        var cases: [Result]
    }

    static func json(_ cases: [BinderCase]) -> String {
        text(cases.map { Listed(id: $0.id, title: $0.title, needs: $0.needs.names) })
    }

    static func json(_ report: ConformanceReport, lacking: BinderCapabilities, took: Duration) -> String {
        let results = report.results.map { result in
            var line = Result(id: result.id, title: result.title, result: "passed", seconds: seconds(result.duration))
            switch result.outcome {
            case .passed: break
            case .failed(let what): (line.result, line.found) = ("failed", what)
            case .skipped(let names): (line.result, line.without) = ("skipped", names)
            }
            return line
        }
        return text(
            Report(
                binder: report.binder, capabilities: report.capabilities.names, lacking: lacking.names, passed: report.passed,
                failed: report.failures.count, skipped: report.skipped, seconds: seconds(took), cases: results))
    }

    private static func seconds(_ duration: Duration) -> Double {
        let (seconds, attoseconds) = duration.components
        return Double(seconds) + Double(attoseconds / 1_000_000_000_000_000) / 1000
    }

    private static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
