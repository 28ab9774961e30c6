import ConfigModel
import ConfigServer
import Foundation
import HTTP
import JSON
import Locking
import TestSupport
import Testing

/// Plays every recorded case that has `POST /monitor` requests: the answers, and whom the bus messages went to.
struct MonitorGoldenTests {
    @Test func `web hooks are answered and published as recorded`() async throws {
        var report = GoldenReport("monitor")
        let corpus = GoldenFolder.url("config/corpus")
        for name in try FileManager.default.contentsOfDirectory(atPath: corpus.path).sorted() {
            let folder = corpus.appending(path: name)
            let steps = try String(contentsOf: folder.appending(path: "requests.jsonl"), encoding: .utf8).split(separator: "\n")
            let messages = try Self.messages(folder)
            for line in steps {
                guard let step = try? JSONReader.read(Array(line.utf8)), let path = step["path"]?.string,
                    path.split(separator: "/").first?.hasPrefix("monitor") == true, let id = step["id"]?.string
                else { continue }
                if step["quirk"] == .boolean(true) {
                    report.quirk()
                    continue
                }
                let failures = try await Self.play(step, path, folder, id, messages[id])
                for failure in failures { Issue.record("\(name)/\(id): \(failure)") }
                report.played(failures.isEmpty)
            }
        }
        report.show()
        #expect(report.count > 0)
    }

    private static func play(_ step: JSONValue, _ path: String, _ folder: URL, _ id: String, _ messages: [String]?) async throws -> [String]
    {
        let published = Locked<[String]>([])
        var router = Router()
        MonitorRoutes(MonitorRoutes.Settings(mode: .guessing), refresh: {}, publish: { services in published.withLock { $0 += services } })
            .install(in: &router)
        var headers = HTTPHeaders()
        if case .object(let fields) = step["headers"] { for field in fields { headers[field.name] = field.value.string } }
        let method = try #require(step["method"]?.string)
        let request = try #require(HTTPRequest(method, path, headers: headers, body: Array((step["body"]?.string ?? "").utf8)))
        let response = await router.respond(to: request)
        let recorded = try JSONReader.read(Array(Data(contentsOf: folder.appending(path: "responses/\(id).json"))))

        var failures: [String] = []
        if .number(String(response.status)) != recorded["status"] { failures.append("status \(response.status)") }
        let body = recorded["body"]?.string ?? ""
        if let type = recorded["headers"]?["content-type"]?.string, response.headers["Content-Type"] != type {
            failures.append("media type")
        }
        if body.hasPrefix("[") {
            if response.text != body { failures.append("\(response.text ?? "") instead of \(body)") }
        } else if let theirs = try? JSONReader.read(Array(body.utf8)) {
            let ours = try JSONReader.read(response.bytes ?? [])
            for field in ["status", "error", "path"] where ours[field] != theirs[field] {
                failures.append("\(field) \(ours[field] ?? .null)")
            }
            // Behind the first colon or quote messages name classes and places of the original's parser.
            let same = Self.start(ours["message"]?.string) == Self.start(theirs["message"]?.string)
            if response.status != 404, !same { failures.append("message \(ours["message"]?.string ?? "")") }
        } else if response.text != body {
            failures.append("body")
        }
        let destinations = published.withLock { $0 }.map { $0 + ":**" }
        if let messages, destinations != messages { failures.append("told \(destinations) instead of \(messages)") }
        return failures
    }

    private static func start(_ message: String?) -> Substring? { message?.prefix { $0 != ":" && $0 != "'" } }

    /// By request, the destinations of the refresh events that were recorded.
    private static func messages(_ folder: URL) throws -> [String: [String]] {
        guard let bytes = try? Data(contentsOf: folder.appending(path: "bus.json")) else { return [:] }
        var result: [String: [String]] = [:]
        for step in try JSONReader.read(Array(bytes)).items {
            let events = (step["messages"]?.items ?? []).compactMap { $0["body"] }
            result[step["id"]?.string ?? ""] = events.filter { $0["type"]?.string == "RefreshRemoteApplicationEvent" }
                .compactMap { $0["destinationService"]?.string }
        }
        return result
    }
}
