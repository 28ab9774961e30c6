import Foundation
import HTTP
import HTTPClient
import Options

/// `carillon status`: which instance runs which version.
enum Status: Verb {
    static let command = Command(
        "status", summary: "Shows which instance runs which version.",
        explanation: """
            VERSION is a commit or its beginning; the newest published change unless given. With --wait it returns as soon as every instance that
            the change concerns runs it: exit code 0. Exit code 1 when not all do, in time.
            """,
        options: [
            .init("version", value: "VERSION", "the version that instances should run"),
            .init("wait", value: "TIME", "wait this long at most for all to run it: 500ms, 30s, 5m"),
            .init("count", value: "N", "expect at least N instances"),
            .init("json", "for programs"),
        ] + Server.options,
        examples: ["carillon status", "carillon status --version $(git rev-parse HEAD) --wait 30s"])

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        let server = try Server(invocation)
        let wait = try invocation.duration("wait")
        let count = try invocation.number("count", in: 0...1_000_000)
        var query: [String] = []
        if let version = invocation.value("version") { query.append("version=\(PercentEncoding.encode(version))") }
        if let count { query.append("instances=\(count)") }

        // The server cuts long waits, and may still be starting: asked again until the time is over.
        let clock = ContinuousClock()
        let end = clock.now + (wait ?? .zero)
        var fleet: Fleet
        var bytes: [UInt8]
        while true {
            let left = max(.zero, end - clock.now)
            var parameters = query
            if wait != nil {
                parameters.append("wait=\(max(1, left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000))ms")
            }
            let path = "/convergence/instances" + (parameters.isEmpty ? "" : "?" + parameters.joined(separator: "&"))
            bytes = try await server.send("GET", path, limit: left + .seconds(30)).body
            fleet = try JSONDecoder().decode(Fleet.self, from: Data(bytes))
            if fleet.converged || clock.now >= end { break }
        }
        if invocation.has("json") {
            terminal.print(String(decoding: bytes, as: UTF8.self))
        } else {
            terminal.print(fleet.table, end: "")
            terminal.print(fleet.sentence(expected: count))
        }
        let good = fleet.converged || invocation.value("version") == nil && wait == nil && count == nil
        return good ? 0 : 1
    }
}

/// The answer of `/convergence/instances`.
struct Fleet: Decodable {
    struct Instance: Decodable {
        var instance: String
        var application: String
        var version: String?
        var outcome: String
        var concerned: Bool
        var converged: Bool
        var time: String
        var error: String?
    }
    var version: String?
    var converged: Bool
    var running: Int
    var concerned: Int
    var instances: [Instance]

    /// A line for each instance under a line of heads; empty when there is none.
    var table: String {
        guard !instances.isEmpty else { return "" }
        return TextTable(
            ["INSTANCE", "APPLICATION", "VERSION", "OUTCOME", "HEARD", ""],
            instances.map { one in
                [
                    one.instance, one.application, Self.short(one.version ?? "-"),
                    one.concerned ? one.outcome : "\(one.outcome) (not concerned)",
                    Self.clock(one.time), one.error ?? "",
                ]
            }
        ).text
    }

    /// `5 of 5 instances run 1a2b3c…`
    func sentence(expected: Int?) -> String {
        let all = max(concerned, expected ?? 0)
        guard let version else {
            return all == 1
                ? "1 instance is known; no change has been published yet" : "\(all) instances are known; no change has been published yet"
        }
        return "\(running) of \(all) instances run \(version)"
    }

    /// A commit as people read it; other versions whole.
    static func short(_ version: String) -> String {
        version.count == 40 && version.allSatisfy(\.isHexDigit) ? String(version.prefix(12)) : version
    }

    /// The time of day of an RFC 3339 time.
    private static func clock(_ time: String) -> String {
        guard let mark = time.firstIndex(of: "T") else { return time }
        return String(time[time.index(after: mark)...].prefix(12)) + "Z"
    }
}
