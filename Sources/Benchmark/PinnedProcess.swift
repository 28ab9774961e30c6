import Foundation

/// A child process with its processor time and memory, for servers that are measured from outside.
final class PinnedProcess {
    private let process = Process()
    private let output = Pipe()
    private let input = Pipe()

    /// Starts this program again with other arguments.
    init(_ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        process.standardOutput = output
        process.standardInput = input
        try process.run()
    }

    /// The first line that it prints.
    func firstLine() -> String {
        var line: [UInt8] = []
        while let byte = try? output.fileHandleForReading.read(upToCount: 1), let first = byte.first, first != 10 { line.append(first) }
        return String(decoding: line, as: UTF8.self)
    }

    /// Processor time that it has used, in seconds.
    var processorTime: Double {
        guard let text = try? String(contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8),
            let rest = text.split(separator: ")").last
        else { return .nan }
        let fields = rest.split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return .nan }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Resident memory in MB.
    var residentMemory: Double {
        guard let text = try? String(contentsOfFile: "/proc/\(process.processIdentifier)/statm", encoding: .utf8) else { return .nan }
        let fields = text.split(separator: " ")
        return fields.count > 1 ? (Double(fields[1]) ?? .nan) * Double(sysconf(Int32(_SC_PAGESIZE))) / 1_048_576 : .nan
    }

    /// Ends it by the end of its input, and waits.
    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

/// `wrk`, kept on the core that the server is not on.
enum LoadGenerator {
    struct Result {
        let requestsPerSecond: Double
        let requests: Double
        let medianMilliseconds: Double
        let p99Milliseconds: Double
    }

    static func run(_ url: String, seconds: Int, connections: Int = 64, core: Int = 1, script: String? = nil) throws -> Result {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            ["taskset", "-c", "\(core)", "wrk", "-t1", "-c\(connections)", "-d\(seconds)s", "--latency"]
            + (script.map { ["-s", $0] } ?? []) + [url]
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard let rate = field("Requests/sec:", in: text).flatMap({ Double($0) }) else {
            throw BenchmarkFailure("wrk gave no rate; install wrk and taskset (apt-get install wrk util-linux)")
        }
        if text.contains("Non-2xx") || text.contains("Socket errors") { throw BenchmarkFailure("wrk saw errors:\n\(text)") }
        let requests = text.split(separator: "\n").first { $0.contains("requests in") }?.split(separator: " ").first.flatMap { Double($0) }
        return Result(
            requestsPerSecond: rate, requests: requests ?? .nan, medianMilliseconds: milliseconds(field("50%", in: text)),
            p99Milliseconds: milliseconds(field("99%", in: text)))
    }

    private static func field(_ name: String, in text: String) -> Substring? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count > 1, words[0] == name { return words[1] }
        }
        return nil
    }

    private static func milliseconds(_ text: Substring?) -> Double {
        guard let text else { return .nan }
        for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0)] where text.hasSuffix(unit) {
            return (Double(text.dropLast(unit.count)) ?? .nan) * factor
        }
        return .nan
    }
}
