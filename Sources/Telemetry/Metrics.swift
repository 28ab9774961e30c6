import Locking

/// Counters, gauges and histograms of one process, with Prometheus text as output.
///
/// Names and label keys are the program's own; label values may come from outside: at most `labelLimit` different label sets a metric are
/// kept, the rest is counted under `other`, so that input can never grow the memory without bound.
package final class Metrics: Sendable {
    package typealias Labels = [String: String]
    private struct Key: Hashable {
        let name: String
        let labels: [String]  // key, value, key, value … sorted by key
    }
    private enum Kind: String { case counter, gauge, histogram }
    private struct Family {
        let kind: Kind
        let help: String
        var values: [[String]: Double] = [:]
        var histograms: [[String]: Histogram] = [:]
    }
    private struct Histogram {
        var counts: [UInt64]
        var sum = 0.0
        var total: UInt64 = 0
    }
    private struct State {
        var families: [String: Family] = [:]
        var readers: [@Sendable (Metrics) -> Void] = []
    }

    /// Upper bounds in seconds of every histogram.
    package static let buckets: [Double] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    private let state = Locked(State())
    private let labelLimit: Int

    package init(labelLimit: Int = 1000) { self.labelLimit = labelLimit }

    /// Adds to a counter. `help` is shown once for each name.
    package func count(_ name: String, _ labels: Labels = [:], by amount: Double = 1, help: String) {
        update(name, .counter, help, labels) { family, key in family.values[key, default: 0] += amount }
    }

    /// Sets a gauge; nil removes it: unknown is absent, never zero.
    package func gauge(_ name: String, _ labels: Labels = [:], _ value: Double?, help: String) {
        update(name, .gauge, help, labels) { family, key in family.values[key] = value }
    }

    /// Records a duration in seconds.
    package func time(_ name: String, _ labels: Labels = [:], _ duration: Duration, help: String) {
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
        update(name, .histogram, help, labels) { family, key in
            var histogram = family.histograms[key] ?? Histogram(counts: Array(repeating: 0, count: Metrics.buckets.count))
            if let index = Metrics.buckets.firstIndex(where: { seconds <= $0 }) { histogram.counts[index] += 1 }
            histogram.sum += seconds
            histogram.total += 1
            family.histograms[key] = histogram
        }
    }

    /// `reader` is called before each output, to set gauges that are read rather than kept.
    package func read(_ reader: @escaping @Sendable (Metrics) -> Void) {
        state.withLock { $0.readers.append(reader) }
    }

    /// All metrics in the Prometheus text format 0.0.4, sorted by name and labels.
    package var prometheusText: String {
        for reader in state.withLock({ $0.readers }) { reader(self) }
        return state.withLock { state in
            var text = ""
            for (name, family) in state.families.sorted(by: { $0.key < $1.key }) {
                text += "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.kind.rawValue)\n"
                for (labels, value) in family.values.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                    text += "\(name)\(Self.render(labels)) \(Self.render(value))\n"
                }
                for (labels, histogram) in family.histograms.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                    var running: UInt64 = 0
                    for (bound, count) in zip(Self.buckets, histogram.counts) {
                        running += count
                        text += "\(name)_bucket\(Self.render(labels + ["le", Self.render(bound)])) \(running)\n"
                    }
                    text += "\(name)_bucket\(Self.render(labels + ["le", "+Inf"])) \(histogram.total)\n"
                    text += "\(name)_sum\(Self.render(labels)) \(Self.render(histogram.sum))\n"
                    text += "\(name)_count\(Self.render(labels)) \(histogram.total)\n"
                }
            }
            return text
        }
    }

    private func update(_ name: String, _ kind: Kind, _ help: String, _ labels: Labels, _ body: (inout Family, [String]) -> Void) {
        var key: [String] = []
        for (label, value) in labels.sorted(by: { $0.key < $1.key }) { key += [label, value] }
        state.withLock { state in
            var family = state.families[name] ?? Family(kind: kind, help: help)
            let known = family.values[key] != nil || family.histograms[key] != nil
            if !known, family.values.count + family.histograms.count >= labelLimit {
                for index in stride(from: 1, to: key.count, by: 2) { key[index] = "other" }
            }
            body(&family, key)
            state.families[name] = family
        }
    }

    private static func render(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }

    private static func render(_ labels: [String]) -> String {
        guard !labels.isEmpty else { return "" }
        let pairs = stride(from: 0, to: labels.count, by: 2).map { index in
            var value = ""
            for character in labels[index + 1].unicodeScalars {
                switch character {
                case "\\": value += "\\\\"
                case "\"": value += "\\\""
                case "\n": value += "\\n"
                default: value.unicodeScalars.append(character)
                }
            }
            return "\(labels[index])=\"\(value)\""
        }
        return "{" + pairs.joined(separator: ",") + "}"
    }
}
