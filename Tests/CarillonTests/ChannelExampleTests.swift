import Foundation
import HTTP
import Locking
import Testing
import TestSupport

/// The lines of `deploy/examples/channels.sh`, run one after the other against the built program.
@Suite(.timeLimit(.minutes(3))) struct ChannelExampleTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized

    private struct Example {
        let line: String
        /// What it prints, with … for anything; nil where nothing is shown.
        var answer: String?
    }

    private static func examples() throws -> [Example] {
        var examples: [Example] = []
        for line in try String(contentsOf: root.appending(path: "deploy/examples/channels.sh"), encoding: .utf8).split(separator: "\n") {
            if line.hasPrefix("#>") {
                let shown = String(line.dropFirst(3))
                examples[examples.count - 1].answer = (examples[examples.count - 1].answer.map { $0 + "\n" } ?? "") + shown
            } else if !line.hasPrefix("#") {
                examples.append(Example(line: String(line), answer: nil))
            }
        }
        return examples
    }

    /// Whether `text` is what `shown` shows.
    private static func matches(_ text: String, _ shown: String) throws -> Bool {
        let pattern = shown.split(separator: "…", omittingEmptySubsequences: false)
            .map { NSRegularExpression.escapedPattern(for: String($0)) }.joined(separator: "[\\s\\S]*")
        return try NSRegularExpression(pattern: "^" + pattern + "$").firstMatch(in: text, range: NSRange(text.startIndex..., in: text))
            != nil
    }

    private static func first(_ name: String, in text: String) -> String? {
        text.firstRange(of: "\"\(name)\":\"").map { String(text[$0.upperBound...].prefix { $0 != "\"" }) }
    }

    /// What a broker may not have.
    private enum Lack {
        /// A publish is answered without the event's position.
        case positions
        /// A broadcast begins with what comes next.
        case replay
        /// The backlog of a group is not told.
        case backlog
        /// Which groups have dead letters is not told.
        case listing
    }

    @Test func `every line that is shown does what is shown beside it`() async throws { try await follow() }

    @Test(.enabled(if: RabbitMQServer.isInstalled, Comment(rawValue: RabbitMQServer.whyNot)))
    func `the same lines over RabbitMQ`() async throws {
        let uri = try await RabbitMQServer.shared().uri
        try await follow(arguments: ["--binder", uri], without: [.positions, .replay, .backlog, .listing])
    }

    @Test(.enabled(if: RedisServer.isInstalled, Comment(rawValue: RedisServer.whyNot)))
    func `the same lines over Redis`() async throws {
        // Of its own: another test's dead letters would be among the groups that are told.
        try await RedisServer.with { try await follow(arguments: ["--binder", $0.uri]) }
    }

    @Test(.enabled(if: KafkaServer.isAvailable, Comment(rawValue: KafkaServer.whyNot)))
    func `the same lines over Kafka`() async throws {
        try await follow(arguments: ["--binder", "kafka://" + (try await KafkaServer.shared().bootstrap)], without: [.listing])
    }

    private func follow(arguments: [String] = [], without lacks: Set<Lack> = []) async throws {
        let hook = Hook()
        try await TestHTTPServer.with(hook.router) { subscriber in
            try await TemporaryFolder.with { folder in
                _ = try folder.commit(in: "config", ["application.yml": "a: b\n"])
                try await PropagationTests.withServer(folder, arguments: arguments) { _, url in
                    var values = ["TOKEN": "", "ID": "", "TIME": "", "HEX": ""]
                    func filled(_ text: String) -> String {
                        values.reduce(
                            text.replacing("http://127.0.0.1:8888", with: url).replacing("http://127.0.0.1:9000", with: subscriber.url)
                        ) { $0.replacing($1.key, with: $1.value) }
                    }
                    for example in try Self.examples() {
                        if example.line.contains("openssl") {
                            try await eventually(within: .seconds(30), "an event at the subscriber") { hook.signature != nil }
                            let parts = (hook.signature ?? "").split(separator: ",")
                            values["TIME"] = String(parts.first?.dropFirst(2) ?? "")
                            values["HEX"] = String(parts.last?.dropFirst(3) ?? "")
                        }
                        let isBacklog = example.line.hasPrefix("curl http") && example.line.hasSuffix("/mail")
                        if lacks.contains(.replay), example.line.contains("curl -N") { continue }
                        if lacks.contains(.backlog), isBacklog { continue }
                        let command = filled(example.line).replacing("curl ", with: "curl -sS --fail-with-body ")
                        var answer = example.answer.map(filled)
                        if lacks.contains(.positions) { answer = answer?.replacing(",\"position\":\"…\"", with: "") }
                        if lacks.contains(.listing) { answer = answer?.replacing(",\"deadLetters\":[]", with: "") }
                        let output = try await run(command, until: example.line.contains("curl -N") ? answer : nil)
                        if let answer { #expect(try Self.matches(output, answer), "\(example.line)\n\(output)\nis not\n\(answer)") }
                        if output.contains("\"deliveries\"") { values["TOKEN"] = Self.first("token", in: output) ?? "" }
                        if output.contains("\"deadLetters\"") { values["ID"] = Self.first("id", in: output) ?? "" }
                    }
                }
            }
        }
    }

    /// Runs a line to its end, or until it has printed what `until` shows.
    private func run(_ command: String, until shown: String?) async throws -> String {
        guard let shown else {
            return try await Running.shell(command).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        return try await Running.shell(command) { try Self.matches($0.trimmingCharacters(in: .whitespacesAndNewlines), shown) }
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test func `every line about channels in README is one of these`() throws {
        let readme = try String(contentsOf: Self.root.appending(path: "README.md"), encoding: .utf8)
        let section = try #require(readme.split(separator: "\n## ").first { $0.hasPrefix("Event channels over HTTP") })
        let shown = section.split(separator: "\n").map { $0.hasPrefix("$ ") ? $0.dropFirst(2) : $0 }.filter { $0.hasPrefix("curl ") }
        #expect(!shown.isEmpty)
        let known = Set(try Self.examples().map(\.line))
        for line in shown { #expect(known.contains(line.trimmingCharacters(in: .whitespaces)), "\(line)") }
    }
}

/// A subscriber that keeps the signature of the last request.
private final class Hook: Sendable {
    private let last = Locked<String?>(nil)
    var signature: String? { last.withLock { $0 } }

    var router: Router {
        var router = Router()
        router.add("POST", "/hook") { [self] request, _ in
            last.withLock { $0 = request.headers["carillon-signature"] }
            return HTTPResponse(204)
        }
        return router
    }
}
