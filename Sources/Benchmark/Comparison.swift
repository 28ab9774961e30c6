import Foundation

/// One benchmark: measures ours and, where there is one, the raw loop, in turn.
protocol Comparison: Sendable {
    /// How it is called on the command line.
    var name: String { get }
    /// One line of help.
    var summary: String { get }
    func run(_ settings: BenchmarkSettings) async throws -> [Measure]
}

struct BenchmarkSettings: Sendable {
    var isJSON = false
    var isQuick = false
    /// Which brokers are measured; empty: all.
    var brokers: Set<String> = []
    /// Bootstrap servers of a Kafka.
    var kafka: String?
    var rounds: Int { isQuick ? 1 : 5 }
    /// Length of one round where a round is a time.
    var seconds: Int { isQuick ? 1 : 4 }

    /// A word that is no result.
    func note(_ text: String) { FileHandle.standardError.write(Data("carillon-benchmark: \(text)\n".utf8)) }
}

/// One thing that was measured, in all its rounds.
struct Measure: Sendable {
    let what: String
    let unit: String
    let ours: [Double]
    /// The same by the raw loop, in the same rounds; empty where there is none.
    var raw: [Double] = []
    /// Rates are better when higher, times and memory when lower.
    var higherIsBetter = true
    /// The ratio that is aimed at: 0.9 says that ours may give a tenth away.
    var aim: Double?

    /// Ours in terms of the raw loop, 1 or more when ours is as good: the median over the rounds, so that one disturbed round changes nothing.
    var ratio: Double? {
        guard !raw.isEmpty, raw.count == ours.count else { return nil }
        return Self.median(zip(ours, raw).map { higherIsBetter ? $0 / $1 : $1 / $0 })
    }

    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard let middle = sorted.indices.dropFirst(sorted.count / 2).first else { return .nan }
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

struct BenchmarkReport: Sendable {
    let name: String
    let measures: [Measure]

    /// A table for people.
    var text: String {
        var lines = ["\(name)"]
        for measure in measures {
            var line =
                "  \(Self.pad(measure.what, 44)) \(Self.pad(Self.short(Measure.median(measure.ours)), 12, left: true)) \(measure.unit)"
            if let ratio = measure.ratio {
                line += "   raw C \(Self.short(Measure.median(measure.raw))) \(measure.unit), ratio \(Self.short(ratio))"
                if let aim = measure.aim { line += ratio >= aim ? " (aim \(aim): met)" : " (aim \(aim): NOT met)" }
            }
            lines.append(line)
        }
        return lines.joined(separator: "\n")
    }

    /// One object for programs.
    var json: String {
        let items = measures.map { measure in
            var fields = [
                #""what":"\#(measure.what)""#, #""unit":"\#(measure.unit)""#, #""ours":\#(Measure.median(measure.ours))"#,
                #""rounds":[\#(measure.ours.map { "\($0)" }.joined(separator: ","))]"#,
            ]
            if let ratio = measure.ratio { fields += [#""raw":\#(Measure.median(measure.raw))"#, #""ratio":\#(ratio)"#] }
            if let aim = measure.aim { fields.append(#""aim":\#(aim)"#) }
            return "{" + fields.joined(separator: ",") + "}"
        }
        return #"{"name":"\#(name)","measures":[\#(items.joined(separator: ","))]}"#
    }

    private static func short(_ number: Double) -> String {
        guard number.isFinite else { return "-" }
        if abs(number) >= 1000 { return String(Int(number.rounded())) }
        return String((number * 1000).rounded() / 1000)
    }

    private static func pad(_ text: String, _ width: Int, left: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - text.count))
        return left ? blanks + text : text + blanks
    }
}

/// A benchmark could not be made; the text says what is missing.
struct BenchmarkFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
