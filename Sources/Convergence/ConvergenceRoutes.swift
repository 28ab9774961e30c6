package import HTTP
import Bus
import JSON
import Telemetry

/// `GET /convergence` lists changes, newest first; `/convergence/{change}` shows one with its instances; `/convergence/instances` shows who runs
/// which version now. With `?wait=30s` the answer comes when everybody concerned runs it, or the time is over; `converged` tells which.
package struct ConvergenceRoutes: Sendable {
    private let convergence: FleetConvergence
    /// Longer waits are cut, so that no connection is held for ever.
    package static let longestWait: Duration = .seconds(300)

    package init(_ convergence: FleetConvergence) { self.convergence = convergence }

    package var router: Router {
        var router = Router()
        router.add("GET", "/convergence") { request, _ in changes(request) }
        router.add("GET", "/convergence/instances", endsWithClient: true) { request, _ in try await fleet(request) }
        router.add("GET", "/convergence/{change}", endsWithClient: true) { request, values in
            try await change(values["change"] ?? "", request)
        }
        return router
    }

    private func changes(_ request: HTTPRequest) -> HTTPResponse {
        let (ledger, now) = (convergence.ledger, convergence.time)
        let limit = max(0, request.parameter("limit").flatMap { Int($0) } ?? 50)
        let items = ledger.changes.reversed().prefix(limit).map { change in
            let rows = ledger.rows(of: change, at: now)
            var counts: [String: Int] = [:]
            for row in rows { counts[row.outcome, default: 0] += 1 }
            var members = ConvergenceJSON.members(of: change)
            members.append(JSONMember("converged", .boolean(rows.haveConverged())))
            members.append(
                JSONMember(
                    "instances",
                    .object(
                        [JSONMember("total", .number(String(rows.count)))]
                            + counts.sorted { $0.key < $1.key }.map { JSONMember($0.key, .number(String($0.value))) })))
            return JSONValue.object(members)
        }
        return Self.answer([JSONMember("changes", .array(Array(items)))])
    }

    private func change(_ name: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        if let wait = try Self.wait(request) {
            _ = await convergence.wait(atMost: wait) { ledger, now in
                guard let change = ledger.change(name) else { return false }
                let rows = ledger.rows(of: change, at: now)
                return rows.haveConverged()
            }
        }
        let (ledger, now) = (convergence.ledger, convergence.time)
        guard let change = ledger.change(name) else {
            throw ConvergenceError(404, "no change \(name) is known here; /convergence lists those that are")
        }
        let rows = ledger.rows(of: change, at: now)
        return Self.answer([
            JSONMember("change", .object(ConvergenceJSON.members(of: change))),
            JSONMember("converged", .boolean(rows.haveConverged())),
            JSONMember("instances", .array(rows.map(ConvergenceJSON.value))),
        ])
    }

    /// `?version=` a commit or the beginning of one; without it the newest change that has a version, if there is one. `?instances=N` wants at
    /// least that many.
    private func fleet(_ request: HTTPRequest) async throws -> HTTPResponse {
        let wanted = request.parameter("version")
        let least = request.parameter("instances").flatMap { Int($0) } ?? 1
        @Sendable func version(_ ledger: PropagationLedger) -> String? {
            wanted ?? ledger.changes.last { $0.version != nil }?.version
        }
        if let wait = try Self.wait(request) {
            _ = await convergence.wait(atMost: wait) { ledger, now in
                ledger.fleet(version: version(ledger), at: now).haveConverged(least: least)
            }
        }
        let ledger = convergence.ledger
        let asked = version(ledger)
        let rows = ledger.fleet(version: asked, at: convergence.time)
        return Self.answer([
            JSONMember("version", asked.map(JSONValue.string) ?? .null),
            JSONMember("converged", .boolean(rows.haveConverged(least: least))),
            JSONMember("running", .number(String(rows.count { $0.isConcerned && $0.hasConverged }))),
            JSONMember("concerned", .number(String(rows.count(where: \.isConcerned)))), JSONMember("known", .number(String(rows.count))),
            JSONMember("instances", .array(rows.map(ConvergenceJSON.value))),
        ])
    }

    private static func answer(_ members: [JSONMember]) -> HTTPResponse {
        HTTPResponse(
            text: JSONValue.object(members).written + "\n", type: "application/json", headers: ["Cache-Control": "no-store"])
    }

    /// `30s`, `500ms`, `2m`, or a number of seconds.
    static func wait(_ request: HTTPRequest) throws(ConvergenceError) -> Duration? {
        guard let text = request.parameter("wait") else { return nil }
        let units: [(String, Duration)] = [("ms", .milliseconds(1)), ("s", .seconds(1)), ("m", .seconds(60)), ("", .seconds(1))]
        for (unit, length) in units where text.hasSuffix(unit) {
            guard let number = Int(text.dropLast(unit.count)), (0...1_000_000).contains(number) else { continue }
            return min(length * number, longestWait)
        }
        throw ConvergenceError(400, "wait is a time such as 30s, 500ms or 2m, not \(text.prefix(40))")
    }
}

/// What a request got wrong.
package struct ConvergenceError: HTTPError {
    let status: Int
    let message: String
    init(_ status: Int, _ message: String) {
        self.status = status
        self.message = message
    }
    package var response: HTTPResponse {
        HTTPResponse(
            status, text: JSONValue.object([JSONMember("error", .string(message))]).written + "\n", type: "application/json")
    }
}
