import Foundation

/// `carillon-benchmark`: ours beside raw C loops in the same run.
@main struct CarillonBenchmark {
    /// In the order in which they run when none is named.
    static let benchmarks: [any Comparison] = [HTTPBenchmark(), ConfigBenchmark(), BrokerBenchmark()]

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
        var settings = BenchmarkSettings()
        if arguments.contains("--help") || arguments.contains("-h") {
            print(help)
            return
        }
        settings.isJSON = take("--json", from: &arguments)
        settings.isQuick = take("--quick", from: &arguments)
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

    private static var help: String {
        """
        carillon-benchmark [--json] [--quick] [NAME…]

        Measures Carillon beside raw C loops in the same run. Without a name all benchmarks run. Use a release build and a quiet machine:
            swift run -c release carillon-benchmark

        \(benchmarks.map { "  \($0.name.padding(toLength: 10, withPad: " ", startingAt: 0)) \($0.summary)" }.joined(separator: "\n"))

          --json    one JSON array instead of tables
          --quick   fewer and shorter rounds: to see that it runs, not to be quoted
        """
    }
}
