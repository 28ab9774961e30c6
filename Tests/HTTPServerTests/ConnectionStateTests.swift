import Testing

@testable import HTTPServer

@Suite struct ConnectionStateTests {
    private static let limits: ConnectionLimits = {
        var limits = HTTPServerLimits()
        limits.headerTime = .milliseconds(1000)
        limits.idleTime = .milliseconds(2000)
        limits.bodyGrace = .milliseconds(1000)
        limits.bodyRate = 100
        limits.sendGrace = .milliseconds(1000)
        limits.sendRate = 100
        return ConnectionLimits(limits)
    }()
    private var state = ConnectionState(limits: ConnectionStateTests.limits, at: 0)

    private mutating func verdict(at now: Moment, draining: Bool = false, unsent: Bool = false) -> ConnectionState.Verdict {
        state.judge(at: now, isDraining: draining, hasUnsent: unsent)
    }

    @Test mutating func `a header has a deadline from the connection's begin`() {
        #expect(verdict(at: 1000) == .stay)
        #expect(verdict(at: 1001) == .cut(.header))
        #expect(verdict(at: 1002) == .stay, "cut once")
    }

    @Test mutating func `a request line does not move the deadline of the wait before it`() {
        state.requestLine(at: 900)
        #expect(verdict(at: 1001) == .cut(.header))
    }

    @Test mutating func `between requests another limit holds, and a request line does not extend it`() {
        state.requestLine(at: 10)
        #expect(state.handlingBegins(endsWithClient: false) == true)
        #expect(verdict(at: 100_000) == .stay, "a handler may take its time")
        state.sendingBegins(lingers: false, at: 100_000)
        state.requestEnded(at: 100_000)
        #expect(verdict(at: 102_000) == .stay)
        state.requestLine(at: 101_900)
        #expect(verdict(at: 102_001) == .cut(.header))
    }

    @Test mutating func `a body has to keep its rate after its grace`() {
        state.requestLine(at: 0)
        state.headerEnded(hasBody: true, at: 0)
        state.bodyCame(150)
        #expect(verdict(at: 1000) == .stay)
        #expect(verdict(at: 1400) == .stay)
        #expect(verdict(at: 1600) == .cut(.body))
    }

    @Test mutating func `an answer has to be taken at its rate`() {
        state.requestLine(at: 0)
        state.sendingBegins(lingers: false, at: 0)
        #expect(verdict(at: 100) == .measure)
        #expect(state.measured(1000, at: 100) == .stay)
        #expect(verdict(at: 1100) == .stay)
        #expect(verdict(at: 1101) == .measure)
        #expect(state.measured(1100, at: 1101) == .stay)
        #expect(verdict(at: 2102) == .measure)
        #expect(state.measured(1199, at: 2102) == .cut(.send))
        #expect(verdict(at: 5000) == .stay, "cut once")
    }

    @Test mutating func `a stream is only measured while it has something to send`() {
        state.requestLine(at: 0)
        #expect(state.handlingBegins(endsWithClient: false) == true)
        #expect(state.streamingBegins(lingers: false, at: 0) == true)
        #expect(verdict(at: 100_000) == .stay)
        #expect(verdict(at: 100_100, unsent: true) == .measure)
        #expect(state.measured(0, at: 100_100) == .stay)
        #expect(verdict(at: 101_000, unsent: false) == .stay, "it was taken: the measuring begins anew")
        #expect(verdict(at: 102_000, unsent: true) == .measure)
        #expect(state.measured(0, at: 102_000) == .stay)
        #expect(verdict(at: 103_001, unsent: true) == .measure)
        #expect(state.measured(50, at: 103_001) == .cut(.send))
    }

    @Test mutating func `only long polls and streams end with their client`() {
        state.requestLine(at: 0)
        #expect(state.handlingBegins(endsWithClient: false) == true)
        #expect(state.clientLeft(at: 10) == false)
        #expect(verdict(at: 5000) == .stay, "its answer is still made")
        #expect(state.streamingBegins(lingers: false, at: 5000) == false, "but a stream has nobody to go to")
        var poll = ConnectionState(limits: Self.limits, at: 0)
        poll.requestLine(at: 0)
        #expect(poll.handlingBegins(endsWithClient: true) == true)
        #expect(poll.clientLeft(at: 10) == true)
        poll.requestLine(at: 20)
        #expect(poll.handlingBegins(endsWithClient: true) == false, "who has left already is not waited for")
    }

    @Test mutating func `what a handler says after its time has no reader`() {
        state.requestLine(at: 0)
        #expect(state.handlingBegins(endsWithClient: false) == true)
        #expect(state.isAwaited(state.request))
        #expect(state.clientLeft(at: 10) == false)
        #expect(state.isAwaited(state.request), "who has closed one side may still read")
        state.abandoned(at: 20)
        #expect(!state.isAwaited(state.request))
        #expect(state.isOpen(state.request), "its connection is still to be resumed")
    }

    @Test mutating func `who has left between requests is cut soon`() {
        #expect(state.clientLeft(at: 100) == false)
        #expect(verdict(at: 400) == .stay)
        #expect(verdict(at: 401) == .cut(.left))
    }

    @Test mutating func `one resume for each suspend, and none for another request`() {
        state.requestLine(at: 0)
        #expect(state.handlingBegins(endsWithClient: false) == true)
        #expect(state.takeResume() == false)
        state.suspended()
        let first = state.request
        #expect(state.isOpen(first))
        #expect(state.takeResume() == true)
        #expect(state.takeResume() == false)
        state.sendingBegins(lingers: false, at: 1)
        #expect(!state.isOpen(first), "answered")
        state.requestEnded(at: 2)
        state.requestLine(at: 3)
        #expect(state.handlingBegins(endsWithClient: false) == true)
        #expect(!state.isOpen(first), "a late answer cannot end the next request's wait")
        #expect(state.isOpen(state.request))
    }

    @Test mutating func `a drain cuts who waits for nothing`() {
        #expect(verdict(at: 500, draining: true) == .stay, "its header may be on the way")
        #expect(verdict(at: 1000, draining: true) == .stay)
        #expect(verdict(at: 1001, draining: true) != .stay)
        var idle = ConnectionState(limits: Self.limits, at: 0)
        idle.requestLine(at: 0)
        idle.sendingBegins(lingers: false, at: 0)
        idle.requestEnded(at: 0)
        #expect(idle.judge(at: 1, isDraining: true, hasUnsent: false, hasUnread: true) == .stay, "its next request is here already")
        #expect(idle.judge(at: 1, isDraining: true, hasUnsent: false) == .cut(.drain))
    }

    @Test func `random events never bring a closed connection back`() {
        var generator = SeededGenerator(seed: 42)
        for _ in 0..<500 {
            var state = ConnectionState(limits: Self.limits, at: 0)
            var now: Moment = 0
            var isClosed = false
            var owed = 0
            for _ in 0..<60 {
                now += Moment.random(in: 0...800, using: &generator)
                switch Int.random(in: 0..<12, using: &generator) {
                case 0: state.requestLine(at: now)
                case 1: state.headerEnded(hasBody: Bool.random(using: &generator), at: now)
                case 2: state.bodyCame(Int.random(in: 0...500, using: &generator))
                case 3:
                    if state.handlingBegins(endsWithClient: Bool.random(using: &generator)) {
                        state.suspended()
                        owed = 1
                    }
                case 4: state.sendingBegins(lingers: Bool.random(using: &generator), at: now)
                case 5: _ = state.streamingBegins(lingers: false, at: now)
                case 6: state.requestEnded(at: now)
                case 7: _ = state.clientLeft(at: now)
                case 8:
                    if state.takeResume() {
                        #expect(owed == 1)
                        owed = 0
                    }
                case 9:
                    if case .measure = state.judge(at: now, isDraining: false, hasUnsent: true) { _ = state.measured(UInt64(now), at: now) }
                case 10: state.abandoned(at: now)
                default:
                    guard Int.random(in: 0..<5, using: &generator) == 0 else { continue }
                    state.closed()
                    isClosed = true
                    owed = 0
                }
                #expect((state.phase == .closed) == isClosed)
                if isClosed {
                    #expect(!state.isSuspended && !state.isOpen(state.request))
                    #expect(state.judge(at: now + 1_000_000, isDraining: true, hasUnsent: true) == .stay)
                }
            }
        }
    }
}

@Suite struct StreamQueueTests {
    private static func take(_ queue: inout StreamQueue, _ count: Int) -> [UInt8] {
        var room = [UInt8](repeating: 0, count: count)
        let taken = room.withUnsafeMutableBytes { queue.take(into: $0) }
        return Array(room[..<taken])
    }

    @Test func `bytes come out in order and the bound holds`() {
        var queue = StreamQueue(limit: 10)
        #expect(queue.offer([1, 2, 3, 4, 5, 6]) == .taken)
        #expect(queue.offer([7, 8, 9, 10]) == .taken)
        #expect(queue.offer([11]) == .full)
        #expect(!queue.hasRoom)
        #expect(Self.take(&queue, 5) == [1, 2, 3, 4, 5])
        #expect(queue.hasRoom)
        #expect(queue.offer([UInt8](repeating: 0, count: 100)) == .taken, "a large piece is taken whole once there is room")
        #expect(Self.take(&queue, 5) == [6, 7, 8, 9, 10])
        #expect(Self.take(&queue, 1000).count == 100)
        #expect(Self.take(&queue, 10) == [])
    }

    @Test func `what is queued before the end still goes out`() {
        var queue = StreamQueue(limit: 10)
        #expect(queue.offer([1]) == .taken)
        queue.end()
        queue.end(failed: true)
        #expect(queue.offer([2]) == .ended)
        #expect(Self.take(&queue, 10) == [1])
        #expect(queue.hasEnded && !queue.hasFailed, "the first end counts")
        queue.drop()
        #expect(queue.isEmpty)
    }
}

@Suite struct HeaderBlockTests {
    /// The block as the library leaves it.
    private static func framing(_ method: String, _ target: String, _ version: String, _ fields: [(String, String)]) throws
        -> HeaderBlock.Framing
    {
        var bytes = Array(method.utf8) + [0] + Array(target.utf8) + [0]
        let offset = bytes.count
        bytes += Array(version.utf8) + [0, 0]
        for (name, value) in fields { bytes += Array(name.utf8) + [0] + Array(value.utf8) + [0, 0] }
        bytes += [0, 0]
        return try bytes.withUnsafeBytes { block in
            try Array(target.utf8).withUnsafeBytes { target in
                try HeaderBlock(bytes: block, version: offset, target: target, fieldCount: fields.count, fieldLimit: 10).framing()
            }
        }
    }

    @Test func `framing is read from good headers`() throws {
        let plain = try Self.framing("GET", "/", "HTTP/1.1", [("Host", " a")])
        #expect(plain.method == .get && !plain.hasBody)
        let post = try Self.framing("POST", "/x", "HTTP/1.1", [("hOsT", "[::1]:8888"), ("CONTENT-LENGTH", "  42"), ("X", "")])
        #expect(post.method == .other && post.length == 42 && post.hasBody && !post.isChunked)
        let chunked = try Self.framing("HEAD", "http://a/x", "HTTP/1.1", [("Host", "a"), ("Transfer-Encoding", " Chunked")])
        #expect(chunked.method == .head && chunked.isChunked && chunked.hasBody)
        #expect(try !Self.framing("GET", "/", "HTTP/1.0", []).hasBody)
        #expect(try Self.framing("get", "/", "HTTP/1.1", [("Host", "a")]).method == .other, "methods have a case")
    }

    @Test func `bytes of any kind throw or pass, and never trap`() {
        var generator = SeededGenerator(seed: 3)
        let pieces: [[UInt8]] = [
            Array("GET".utf8), [0], Array("/a".utf8), Array("HTTP/1.1".utf8), [0, 0], Array("Host".utf8), Array("a".utf8),
            Array("Content-Length".utf8), [255], [13],
        ]
        for _ in 0..<10_000 {
            let bytes = (0..<Int.random(in: 0...12, using: &generator)).flatMap { _ in pieces.randomElement(using: &generator) ?? [] }
            let version = Int.random(in: -2...max(1, bytes.count + 2), using: &generator)
            bytes.withUnsafeBytes { block in
                Array("/a".utf8).withUnsafeBytes { target in
                    _ = try? HeaderBlock(bytes: block, version: version, target: target, fieldCount: 1, fieldLimit: 10).framing()
                }
            }
        }
    }
}

@Suite struct HeaderLayoutTestTests {
    @Test func `the installed library passes`() throws {
        try HeaderLayoutTest.run(HeaderLayoutTest.samples)
    }

    @Test func `a library that answers otherwise is refused by name of what differs`() {
        let wrong = (what: "a folded field", request: "GET / HTTP/1.1\r\nHost: test\r\n\r\n", status: "400")
        let error = #expect(throws: HTTPServerError.self) { try HeaderLayoutTest.run([wrong]) }
        #expect(error == .headerLayout("a folded field was answered 200 instead of 400"))
        #expect(error?.description.contains("0.9.75") == true)
    }
}
