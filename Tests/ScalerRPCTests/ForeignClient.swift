import Foundation
import Locking
import TestSupport
import Testing

/// The Python program `client.py`, which calls the server with grpcio. It ends when its standard input does, and so with the test process.
final class ForeignClient: Sendable {
    /// What it says of one message, or of the end of a call.
    struct Event: Sendable, Codable, Equatable {
        struct Answer: Sendable, Codable, Equatable {
            struct Metric: Sendable, Codable, Equatable {
                var name: String
                var whole: Int
                var real: Double
            }
            var active: Bool?
            var metrics: [Metric]?
        }
        var id: Int
        var answer: Answer?
        var code: String?
        var details: String?
        var closed: Bool?
    }
    struct Request: Sendable, Codable {
        var name: String?
        var namespace: String?
        var metadata: [String: String]?
        var metric: String?
        var hex: String?
        var size: Int?
        /// How long a header field of the call is.
        var header: Int?
    }
    private struct Order: Codable {
        var id: Int?
        var call: String?
        var stream: String?
        var silent: String?
        var cancel: Int?
        var raw: String?
        var compressed: Bool?
        var request: Request?
    }

    private static let program = Bundle.module.path(forResource: "client", ofType: "py") ?? "client.py"
    private static let python = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../.build/grpcio/bin/python")
        .standardized
    static let isInstalled = FileManager.default.isExecutableFile(atPath: python.path)
    /// For `.enabled(if:)`.
    static let whyNot: Comment = "grpcio is not installed: deploy/install test"

    private let process = SpawnedProcess()
    private let input = Pipe()
    private let seen = Recorded<Event>()
    private let nextID = Locked(0)

    /// Runs `body` with a client of that address and ends it afterwards. `files`: the authority of the server, and the client's certificate and key.
    static func with<R: Sendable>(_ address: String, _ files: [String] = [], _ body: (ForeignClient) async throws -> R) async throws -> R {
        let client = try ForeignClient(address, files)
        defer {
            client.kill()
            Thread { client.process.waitUntilExit() }.start()
        }
        return try await body(client)
    }

    private init(_ address: String, _ files: [String]) throws {
        let output = Pipe()
        process.executableURL = Self.python
        process.arguments = [Self.program, address] + files
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let reading = output.fileHandleForReading
        Thread { [seen] in
            var rest = Data()
            while true {
                let more = reading.availableData
                if more.isEmpty { return }
                rest += more
                while let end = rest.firstIndex(of: 10) {
                    if let event = try? JSONDecoder().decode(Event.self, from: rest[..<end]) { seen.add(event) }
                    rest = Data(rest[(end + 1)...])
                }
            }
        }.start()
    }

    /// As a crash does.
    func kill() {
        if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
    }
    /// Freezes it: its connections stay open and nobody reads.
    func pause() async throws { try await freeze(process.processIdentifier) }

    func call(_ method: String, _ request: Request, isCompressed: Bool = false) async throws -> Event {
        try await end(of: send { Order(id: $0, call: method, compressed: isCompressed, request: request) })
    }

    /// What became of a call whose request never comes.
    func silentCall(_ method: String) async throws -> Event { try await end(of: send { Order(id: $0, silent: method) }) }

    /// Whether the server ends a connection on which these bytes come.
    func isClosed(after bytes: [UInt8]) async throws -> Bool {
        let hex = bytes.map { String(format: "%02x", $0) }.joined()
        let id = try send { Order(id: $0, raw: hex) }
        try await eventually("an end of the connection") { events(of: id).contains { $0.closed != nil } }
        return events(of: id).last?.closed == true
    }

    /// Opens a stream and returns its id.
    func open(_ method: String, _ request: Request) throws -> Int { try send { Order(id: $0, stream: method, request: request) } }

    func cancel(_ id: Int) throws { _ = try send { _ in Order(cancel: id) } }

    /// What has come so far.
    func events(of id: Int) -> [Event] { seen.all.filter { $0.id == id } }

    /// The states that a stream has told so far.
    func states(of id: Int) -> [Bool] { events(of: id).compactMap { $0.answer?.active } }

    func end(of id: Int) async throws -> Event {
        try await eventually("the end of call \(id)") { events(of: id).contains { $0.code != nil } }
        return try #require(events(of: id).last)
    }

    private func send(_ order: (Int) -> Order) throws -> Int {
        let id = nextID.withLock { id in
            id += 1
            return id
        }
        try input.fileHandleForWriting.write(contentsOf: try JSONEncoder().encode(order(id)) + Data([10]))
        return id
    }
}
