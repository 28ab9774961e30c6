import Autoscaler
import Foundation
import HTTP
import HTTPClient
import JSON
import Options
import ScalingFormats
import Telemetry

/// `carillon scale`: what scaling policies do, why, and what an operator wants of them.
enum Scale: Verb {
    static let command = Command(
        "scale", summary: "Shows what scaling policies do and why, and overrides them for a while.",
        explanation: """
            ACTION is one of
              list                   all policies: backlog, instances, last outcome
              explain POLICY         the last decision with its reasons; --at TIME: the one that stood then
              hold POLICY TIME       leaves the count as it is until TIME
              set POLICY COUNT       wants COUNT instances until --until TIME, within what the policy allows
              resume POLICY          ends either
              record POLICY          writes what the policy's source tells as a history for `carillon simulate`
            TIME is a moment (2026-11-27T18:00:00Z), a time of day (18:00) or a duration from now (2h; with --at: ago).
            """,
        arguments: [
            .init("ACTION", "list, explain, hold, set, resume or record"), .init("POLICY", "the policy's name", isRequired: false),
            .init("VALUE", "hold: until when; set: how many", isRequired: false),
        ],
        options: [
            .init("at", value: "TIME", "explain: the decision that stood then"),
            .init("until", value: "TIME", "set, hold: until when"),
            .init("output", value: "FILE", "record: write there; standard output unless given"),
            .init("for", value: "TIME", "record: end after this time; at Ctrl-C unless given"),
            .init("policy", value: "FILE[#NAME]", "record: ask the source of this policy itself, not the server"),
            .init("json", "for programs"),
        ] + Server.options,
        examples: [
            "carillon scale list", "carillon scale explain orders", "carillon scale explain orders --at 03:15",
            "carillon scale hold orders 2h", "carillon scale set orders 20 --until 18:00", "carillon scale resume orders",
            "carillon scale record orders --for 24h --output monday.csv",
        ])

    private enum Action: String, CaseIterable { case list, explain, hold, set, resume, record }

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        let word = invocation.arguments[0]
        guard let action = Action(rawValue: word) else {
            let all = Action.allCases.map(\.rawValue)
            let near = Spelling.nearest(to: word, in: all).map { "; did you mean `\($0)`?" } ?? ""
            throw Failure("`scale \(word)` is none of \(all.joined(separator: ", "))\(near)", code: 2)
        }
        try check(action, invocation)
        let server = try Server(invocation)
        if action == .list { return try await list(server, invocation, terminal) }
        if action == .record { return try await ScaleRecord.run(invocation, terminal) }
        guard invocation.arguments.count > 1 else {
            throw Failure("`scale \(action)` needs a POLICY: `carillon scale list` names them", code: 2)
        }
        let path = "/scaling/" + PercentEncoding.encode(invocation.arguments[1])
        switch action {
        case .explain:
            let at = try invocation.value("at").map { try moment($0, "--at", .past) }
            let query = at.map { "?at=" + PercentEncoding.encode(TimeText.render($0)) } ?? ""
            let bytes = try await server.send("GET", path + query).body
            terminal.print(invocation.has("json") ? String(decoding: bytes, as: UTF8.self) : try ScaleText.explanation(bytes), end: "")
            if invocation.has("json") { terminal.print("") }
        case .hold:
            guard let text = invocation.arguments.dropFirst(2).first ?? invocation.value("until") else {
                throw Failure("`scale hold` needs until when: carillon scale hold \(invocation.arguments[1]) 2h", code: 2)
            }
            let until = try moment(text, "hold", .future)
            try await change(server, path + "/hold", [("until", .string(TimeText.render(until)))], invocation, terminal)
        case .set:
            guard let text = invocation.arguments.dropFirst(2).first, let count = Int(text), count >= 0 else {
                throw Failure("`scale set` needs how many: carillon scale set \(invocation.arguments[1]) 20 --until 18:00", code: 2)
            }
            guard let end = invocation.value("until") else {
                throw Failure("`scale set` needs --until TIME: what an operator wants ends by itself", code: 2)
            }
            let until = try moment(end, "--until", .future)
            try await change(
                server, path + "/set", [("count", .number(String(count))), ("until", .string(TimeText.render(until)))], invocation, terminal
            )
        case .resume: try await change(server, path + "/resume", [], invocation, terminal)
        case .list, .record: break
        }
        return 0
    }

    /// An option that this action knows nothing of is a mistake of the caller.
    private static func check(_ action: Action, _ invocation: Invocation) throws {
        let known: [Action: Set<String>] = [
            .explain: ["at"], .hold: ["until"], .set: ["until"], .record: ["output", "for", "policy"],
        ]
        for option in ["at", "until", "output", "for", "policy"] where invocation.has(option) && known[action]?.contains(option) != true {
            throw Failure("`scale \(action)` has no option --\(option)", code: 2)
        }
        let arguments = [Action.list: 1, .hold: 3, .set: 3][action] ?? 2
        if let surplus = invocation.arguments.dropFirst(arguments).first {
            throw Failure("`scale \(action)` does not know what to do with `\(surplus)`", code: 2)
        }
    }

    private static func moment(_ text: String, _ name: String, _ direction: MomentText.Direction) throws -> Seconds {
        guard let time = MomentText.parse(text, now: Double(Timestamp.now.milliseconds) / 1000, direction) else {
            throw Failure("`\(name) \(text)` is not \(MomentText.forms)\(direction == .future ? " that is to come" : "")", code: 2)
        }
        return time
    }

    private static func list(_ server: Server, _ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        let bytes = try await server.send("GET", "/scaling").body
        terminal.print(invocation.has("json") ? String(decoding: bytes, as: UTF8.self) : try ScaleText.list(bytes), end: "")
        if invocation.has("json") { terminal.print("") }
        return 0
    }

    private static func change(
        _ server: Server, _ path: String, _ members: [(String, JSONValue)], _ invocation: Invocation, _ terminal: Terminal
    ) async throws {
        let body = JSONValue.object(members.map { JSONMember($0.0, $0.1) }).written
        let bytes = try await server.send("POST", path, headers: ["Content-Type": "application/json"], body: Array(body.utf8)).body
        terminal.print(invocation.has("json") ? String(decoding: bytes, as: UTF8.self) : try ScaleText.change(bytes))
    }
}
