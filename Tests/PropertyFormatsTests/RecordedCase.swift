import ConfigModel
import ConfigRepositories
import Foundation
import JSON
import TestSupport

/// One case of the config recordings: its repositories, requests and answers.
struct RecordedCase {
    struct Request {
        var id: String
        var path: String
        var query: String
        var isQuirk: Bool
        var accept: String
        var isRead: Bool
        var phase: Int
    }

    let folder: URL
    let name: String
    let requests: [Request]
    let settings: [String: String]

    static func all() throws -> [RecordedCase] {
        let corpus = GoldenFolder.url("config/corpus")
        return try FileManager.default.contentsOfDirectory(at: corpus, includingPropertiesForKeys: nil)
            .filter { FileManager.default.fileExists(atPath: $0.appending(path: "case.json").path) }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
            .map { try RecordedCase($0) }
    }

    init(_ folder: URL) throws {
        self.folder = folder
        name = folder.lastPathComponent
        let description = try JSONReader.read(Array(try Data(contentsOf: folder.appending(path: "case.json"))))
        var settings: [String: String] = [:]
        if case .object(let fields)? = description["server"] { for field in fields { settings[field.name] = field.value.string ?? "" } }
        self.settings = settings
        requests = try String(decoding: Data(contentsOf: folder.appending(path: "requests.jsonl")), as: UTF8.self).split(separator: "\n")
            .map { line in
                let value = try JSONReader.read(Array(line.utf8))
                let target = (value["path"]?.string ?? "").split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
                var accept = ""
                if case .object(let headers)? = value["headers"] {
                    accept = headers.first { $0.name.lowercased() == "accept" }?.value.string ?? ""
                }
                var phase = 1
                if case .number(let digits)? = value["phase"] { phase = Int(digits) ?? 1 }
                return Request(
                    id: value["id"]?.string ?? "", path: String(target.first ?? ""), query: target.count > 1 ? String(target[1]) : "",
                    isQuirk: value["quirk"] == .boolean(true), accept: accept, isRead: value["method"]?.string == "GET", phase: phase)
            }
    }

    /// Status and body of the answers that count: the first that was recorded, and that of the newer server where there is one.
    func answers(to request: Request) -> [(status: Int, body: String)] {
        ["responses", "responses-s4"].compactMap { kind in
            guard let data = try? Data(contentsOf: folder.appending(path: "\(kind)/\(request.id).json")),
                let value = try? JSONReader.read(Array(data)),
                case .number(let status)? = value["status"]
            else { return nil }
            return (Int(status) ?? 0, value["body"]?.string ?? "")
        }
    }

    /// The environment that a request for JSON was answered with; nil when the answer is anything else.
    func environment(of request: Request) -> ConfigEnvironment? {
        guard let answer = answers(to: request).first, answer.status == 200 else { return nil }
        return try? EnvironmentJSON.decode(Array(answer.body.utf8))
    }

    /// Every stored version of a file of a repository.
    func files(_ repository: String, _ path: String) -> [[UInt8]] {
        let versions = folder.appending(path: "repos/\(repository)")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: versions.path)) ?? []
        guard names.contains("history.json") else {
            return (try? Data(contentsOf: versions.appending(path: path))).map { [Array($0)] } ?? []
        }
        return names.sorted().compactMap { name in
            (try? Data(contentsOf: versions.appending(path: "\(name)/\(path)"))).map(Array.init)
        }
    }

    /// The repository of a case that has one with a single version and no settings beyond; nil for every other case.
    var plainRepository: MemoryRepository? {
        guard let uri = settings["spring.cloud.config.server.git.uri"], uri.hasPrefix("file://{{ROOT}}/"), settings.count <= 3 else {
            return nil
        }
        let repository = folder.appending(path: "repos/\(uri.dropFirst("file://{{ROOT}}/".count))")
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: repository.path) else { return nil }
        let versions = names.filter { $0 != "history.json" }
        guard versions.count == 1 else { return nil }
        let root = repository.appending(path: versions[0])
        guard let paths = try? FileManager.default.subpathsOfDirectory(atPath: root.path) else { return nil }
        var files: [String: MemoryTree.Content] = [:]
        for path in paths {
            guard let data = try? Data(contentsOf: root.appending(path: path)) else { continue }
            // What is decrypted moves to the end of its source: only the recorded environment knows.
            if data.firstRange(of: Data("{cipher}".utf8)) != nil { return nil }
            files[path] = MemoryTree.Content(Array(data))
        }
        return MemoryRepository(["main": MemoryTree(files)], builder: EnvironmentBuilder(prefix: uri + "/", parsed: ParsedFiles()))
    }
}
