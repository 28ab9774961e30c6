import ConfigModel
import Foundation
import JSON
import Testing

/// One case of the recorded corpus: repositories, settings by their original names, requests and the answers of the real server.
struct GoldenCase: Sendable, CustomTestStringConvertible {
    struct Request: Sendable {
        var id: String
        var method: String
        var path: String
        var headers: [(name: String, value: String)]
        var body: String?
        var phase: Int
        var isQuirk: Bool
    }
    struct Answer: Sendable {
        var status: Int
        var headers: [String: String]
        var body: [UInt8]
        var text: String { String(decoding: body, as: UTF8.self) }
        /// Whether the recording holds bytes that are not text.
        var isBinary: Bool
    }

    let folder: URL
    let name: String
    let settings: [String: String]
    let isNative: Bool
    let needsBus: Bool
    let needsDaemon: Bool
    let needsSQL: Bool
    let requests: [Request]

    var testDescription: String { name }

    /// `$CARILLON_GOLDEN`, or the recordings in the tree.
    static let root: URL = {
        if let path = ProcessInfo.processInfo.environment["CARILLON_GOLDEN"] { return URL(fileURLWithPath: path) }
        return URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Golden")
    }()

    /// All of them, or those whose names have one of the texts in `$CARILLON_GOLDEN_CASES`.
    static let all: [GoldenCase] = {
        let corpus = root.appendingPathComponent("config/corpus")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: corpus.path)) ?? []
        let only = ProcessInfo.processInfo.environment["CARILLON_GOLDEN_CASES"]?.split(separator: ",").map(String.init)
        return names.sorted().filter { name in only?.contains { name.contains($0) } ?? true }.compactMap {
            try? GoldenCase(corpus.appendingPathComponent($0))
        }
    }()

    init(_ folder: URL) throws {
        self.folder = folder
        name = folder.lastPathComponent
        let spec = try Self.json(folder.appendingPathComponent("case.json"))
        var settings: [String: String] = [:]
        if case .object(let fields)? = spec["server"] { for field in fields { settings[field.name] = field.value.string ?? "" } }
        self.settings = settings
        isNative = spec["backend"]?.string == "native"
        needsBus = spec["bus"] != nil
        needsDaemon = spec["git_daemon"] != nil
        needsSQL = spec["sql"] != nil
        let lines = String(decoding: try Data(contentsOf: folder.appendingPathComponent("requests.jsonl")), as: UTF8.self)
        requests = try lines.split(separator: "\n").filter { !$0.allSatisfy(\.isWhitespace) }.map { line in
            let value = try JSONReader.read(Array(line.utf8))
            var headers: [(name: String, value: String)] = []
            if case .object(let fields)? = value["headers"] { headers = fields.map { ($0.name, $0.value.string ?? "") } }
            return Request(
                id: value["id"]?.string ?? "", method: value["method"]?.string ?? "GET", path: value["path"]?.string ?? "/",
                headers: headers,
                body: value["body"]?.string, phase: value["phase"].flatMap(\.integer) ?? 1, isQuirk: value["quirk"] == .boolean(true))
        }
    }

    /// The recorded answers that count, the reference's first.
    func answers(to request: Request) throws -> [Answer] {
        try ["responses", "responses-s4"].compactMap { kind in
            let file = folder.appendingPathComponent(kind).appendingPathComponent(request.id + ".json")
            guard FileManager.default.fileExists(atPath: file.path) else { return nil }
            let value = try Self.json(file)
            var headers: [String: String] = [:]
            if case .object(let fields)? = value["headers"] { for field in fields { headers[field.name] = field.value.string ?? "" } }
            let binary = value["body_base64"]?.string.flatMap { Data(base64Encoded: $0) }
            return Answer(
                status: value["status"].flatMap(\.integer) ?? 0, headers: headers,
                body: binary.map { [UInt8]($0) } ?? Array((value["body"]?.string ?? "").utf8), isBinary: binary != nil)
        }
    }

    static func json(_ file: URL) throws -> JSONValue { try JSONReader.read([UInt8](try Data(contentsOf: file))) }
}

extension JSONValue {
    var integer: Int? { if case .number(let digits) = self { Int(digits) } else { nil } }
}
