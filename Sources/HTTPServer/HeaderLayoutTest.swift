import CPosix
import Glibc
import HTTP
import Synchronization
import Telemetry

/// Proves, before anything is served, that the library lays out headers as `HeaderBlock` reads them: a server with the same callbacks gets good
/// and malformed requests over socket pairs and has to tell them apart.
enum HeaderLayoutTest {
    static let samples: [(what: String, request: String, status: String)] = [
        ("a plain request", "GET /a?b=c HTTP/1.1\r\nHost: test\r\nAccept: */*\r\n\r\n", "200"),
        ("blanks around a value", "GET / HTTP/1.1\r\nHost: \t test \r\nX:\r\n\r\n", "200"),
        ("an old request", "HEAD / HTTP/1.0\r\n\r\n", "200"),
        ("a folded field", "GET / HTTP/1.1\r\nHost: test\r\nX: a\r\n b\r\n\r\n", "400"),
        ("a NUL in a value", "GET / HTTP/1.1\r\nHost: test\r\nX: a\0b\r\n\r\n", "400"),
        ("a NUL in the target", "GET /\0a HTTP/1.1\r\nHost: test\r\n\r\n", "400"),
        ("a bare line feed", "GET / HTTP/1.1\r\nHost: test\nX: a\r\n\r\n", "400"),
        ("a bare carriage return", "GET / HTTP/1.1\r\nHost: test\r\nX: a\rY: b\r\n\r\n", "400"),
        ("a blank before a colon", "GET / HTTP/1.1\r\nHost : test\r\n\r\n", "400"),
        ("two blanks in the request line", "GET  / HTTP/1.1\r\nHost: test\r\n\r\n", "400"),
        ("two lengths", "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
    ]

    private static let hasPassed = Atomic<Bool>(false)

    /// Runs once in a process. Blocks for some milliseconds. Throws `HTTPServerError.headerLayout` when one sample is answered otherwise.
    static func runOnce() throws(HTTPServerError) {
        guard !hasPassed.load(ordering: .relaxed) else { return }
        try run(samples)
        hasPassed.store(true, ordering: .relaxed)
    }

    static func run(_ samples: [(what: String, request: String, status: String)]) throws(HTTPServerError) {
        var configuration = HTTPServerConfiguration(threads: 1)
        configuration.limits.connections = samples.count
        let core = try ServerCore(configuration: configuration, handler: Answer(), counters: ServerCounters(), log: .silent)
        let daemon = try Daemon(configuration: configuration, core: core)
        defer { daemon.stop() }
        for sample in samples {
            let status = status(of: sample.request, daemon)
            guard status == sample.status else {
                throw .headerLayout("\(sample.what) was answered \(status ?? "nothing") instead of \(sample.status)")
            }
        }
    }

    private struct Answer: HTTPHandler {
        let hit = CachedResponse(HTTPResponse(200, text: ""))
        func cached(_ head: borrowing RequestHead) -> CachedResponse? { hit }
        func respond(to request: HTTPRequest) async -> HTTPResponse { HTTPResponse(500) }
    }

    private static func status(of request: String, _ daemon: Daemon) -> String? {
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, carillon_sock_stream | carillon_sock_flags, 0, &pair) == 0 else { return nil }
        defer { close(pair[0]) }
        var bytes = Array(request.utf8)
        guard send(pair[0], &bytes, bytes.count, 0) == bytes.count else {
            close(pair[1])
            return nil
        }
        guard daemon.add(pair: pair[1]) else { return nil }
        var waiting = pollfd(fd: pair[0], events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, 5000) == 1 else { return nil }
        var room = [UInt8](repeating: 0, count: 64)
        let count = recv(pair[0], &room, room.count, 0)
        guard count >= 12 else { return nil }
        return String(decoding: room[9..<12], as: UTF8.self)
    }
}
