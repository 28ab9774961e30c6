import Foundation

/// `carillon-benchmark`: ours beside raw C loops in the same run.
@main struct CarillonBenchmark {
    /// In the order in which they run when none is named.
    static let benchmarks: [any Comparison] = [HTTPBenchmark(), ConfigBenchmark(), BrokerBenchmark(), ScalingBenchmark()]

    static func main() async {
        var arguments = Array(CommandLine.arguments.dropFirst())
        if let role = arguments.first, role == HTTPBenchmark.serverRole {
            await HTTPBenchmark.serve(Array(arguments.dropFirst()))
            return
        }
        if let role = arguments.first, role == ConfigBenchmark.serverRole {
            await ConfigBenchmark.serve(Array(arguments.dropFirst()))
            return
        }
        if let role = arguments.first, role == BrokerSide.role {
            await BrokerSide.main(Array(arguments.dropFirst()))
            return
        }
        if let role = arguments.first, role == BenchmarkBroker.channelsRole {
            await BenchmarkBroker.serveChannels(Array(arguments.dropFirst()))
            return
        }
        var settings = BenchmarkSettings()
        if arguments.contains("--help") || arguments.contains("-h") {
            print(help)
            return
        }
        settings.isJSON = take("--json", from: &arguments)
        settings.isQuick = take("--quick", from: &arguments)
        settings.kafka = value("--kafka", from: &arguments) ?? ProcessInfo.processInfo.environment["CARILLON_KAFKA"]
        if let brokers = value("--brokers", from: &arguments) {
            settings.brokers = Set(brokers.split(separator: ",").map(String.init))
            if let wrong = settings.brokers.first(where: { BrokerKind(rawValue: $0) == nil }) {
                let known = BrokerKind.allCases.map(\.rawValue).joined(separator: ", ")
                FileHandle.standardError.write(Data("carillon-benchmark: no broker \(wrong); known: \(known)\n".utf8))
                exit(2)
            }
        }
        let known = benchmarks.map(\.name)
        if let wrong = arguments.first(where: { !known.contains($0) }) {
            FileHandle.standardError.write(
                Data("carillon-benchmark: no benchmark \(wrong); known: \(known.joined(separator: ", "))\n".utf8))
            exit(2)
        }
        let chosen = arguments.isEmpty ? benchmarks : benchmarks.filter { arguments.contains($0.name) }
        var reports: [BenchmarkReport] = []
        for benchmark in chosen {
            do {
                let report = BenchmarkReport(name: benchmark.name, measures: try await benchmark.run(settings))
                if !settings.isJSON { print(report.text) }
                reports.append(report)
            } catch {
                FileHandle.standardError.write(Data("carillon-benchmark: \(benchmark.name): \(error)\n".utf8))
                exit(1)
            }
        }
        if settings.isJSON { print("[" + reports.map(\.json).joined(separator: ",") + "]") }
    }

    private static func take(_ option: String, from arguments: inout [String]) -> Bool {
        defer { arguments.removeAll { $0 == option } }
        return arguments.contains(option)
    }

    private static func value(_ option: String, from arguments: inout [String]) -> String? {
        guard let place = arguments.firstIndex(of: option), place + 1 < arguments.count else { return nil }
        defer { arguments.removeSubrange(place...place + 1) }
        return arguments[place + 1]
    }

    private static var help: String {
        """
        carillon-benchmark [--json] [--quick] [--brokers NAMES] [--kafka HOST:PORT,…] [NAME…]

        Measures Carillon beside raw C loops in the same run. Without a name all benchmarks run. Use a release build and a quiet machine:
            swift run -c release carillon-benchmark

        \(benchmarks.map { "  \($0.name.padding(toLength: 10, withPad: " ", startingAt: 0)) \($0.summary)" }.joined(separator: "\n"))

          --json    one JSON array instead of tables
          --quick   fewer and shorter rounds: to see that it runs, not to be quoted
          --brokers which ones `broker` measures, separated by commas: \(BrokerKind.allCases.map(\.rawValue).joined(separator: ", "))
          --kafka   a Kafka broker for `broker`; $CARILLON_KAFKA says the same. Without it Kafka is left out
        """
    }
}
