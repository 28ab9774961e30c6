import Glibc
import HTTP
import HTTPClient
import Locking
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct StreamTests {
    @Test func `events are read one by one as they come`() async throws {
        try await withServer { _, _, connection in
            connection.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            connection.write("id: 1\ndata: one\n\n:\n\nid: 2\nda")
            connection.write("ta: two\ndata: lines\n\n")
            return false
        } _: { server in
            let events = try await HTTPClient().withStream(HTTPClientRequest("GET", server.url("/"))) { head, body in
                #expect(head.status == 200)
                var events: [ServerSentEvent] = []
                while let event = try await body.nextEvent() { events.append(event) }
                return events
            }
            #expect(events == [ServerSentEvent(id: "1", data: "one"), ServerSentEvent(id: "2", data: "two\nlines")])
        }
    }

    @Test func `a reader that is behind stops the sender, and nothing is lost`() async throws {
        let sent = Locked(0)
        let total = 24 << 20
        try await withServer { _, _, connection in
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
            let piece = (0..<(64 << 10)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            for _ in 0..<(total / piece.count) {
                guard connection.write(piece) else { return false }
                sent.withLock { $0 += piece.count }
            }
            return true
        } _: { server in
            try await HTTPClient().withStream(HTTPClientRequest("GET", server.url("/"))) { _, body in
                var before = -1
                try await eventually(within: .seconds(20)) {  // until the sender stands still
                    let now = sent.withLock { $0 }
                    defer { before = now }
                    try await Task.sleep(for: .milliseconds(200))
                    return now == before && now > 0
                }
                #expect(before < total / 2, "only what the kernel and the buffer hold")
                var count = 0
                var isRight = true
                while let bytes = try await body.next() {
                    for byte in bytes {
                        isRight = isRight && byte == UInt8(truncatingIfNeeded: (count & 0xFFFF) &* 31)
                        count += 1
                    }
                }
                #expect(count == total)
                #expect(isRight)
            }
        }
    }

    @Test func `the transfer ends when the body returns, throws or is cancelled`() async throws {
        struct Enough: Error {}
        let open = Locked(0)
        try await withServer { _, _, connection in
            open.withLock { $0 += 1 }
            connection.write("HTTP/1.1 200 OK\r\n\r\nfirst")
            connection.untilClosed()
            open.withLock { $0 -= 1 }
            return false
        } _: { server in
            let client = HTTPClient()
            let request = HTTPClientRequest("GET", server.url("/"))
            let first = try await client.withStream(request) { _, body in try await body.next() }
            #expect(first == Array("first".utf8))
            await #expect(throws: Enough.self) { try await client.withStream(request) { _, _ in throw Enough() } }
            let isReading = Locked(false)
            let task = Task {
                try await client.withStream(request) { _, body in
                    while try await body.next() != nil { isReading.withLock { $0 = true } }
                }
            }
            try await eventually { isReading.withLock { $0 } }
            task.cancel()
            let error = await #expect(throws: HTTPClientError.self) { try await task.value }
            #expect(error?.code == .cancelled)
            try await eventually { open.withLock { $0 } == 0 }
        }
    }

    @Test func `a stream that falls silent is given up, one with comments is not`() async throws {
        try await withServer { head, _, connection in
            connection.write("HTTP/1.1 200 OK\r\n\r\ndata: a\n\n")
            if head.hasPrefix("GET /silent") { connection.untilClosed() }
            for _ in 0..<12 where !head.hasPrefix("GET /silent") {
                var pause = timespec(tv_sec: 0, tv_nsec: 100_000_000)
                nanosleep(&pause, nil)
                connection.write(":\n\n")
            }
            return false
        } _: { server in
            let client = HTTPClient()
            let error = await #expect(throws: HTTPClientError.self) {
                try await client.withStream(HTTPClientRequest("GET", server.url("/silent"), idleLimit: .milliseconds(400))) { _, body in
                    while try await body.nextEvent() != nil {}
                }
            }
            #expect(error?.code == .timedOut)
            try await client.withStream(HTTPClientRequest("GET", server.url("/alive"), idleLimit: .milliseconds(600))) { _, body in
                while try await body.nextEvent() != nil {}
            }
        }
    }

    @Test func `a body longer than collected is an error`() async throws {
        try await withServer { _, _, connection in
            connection.write("12345".answer())
        } _: { server in
            let client = HTTPClient()
            let request = HTTPClientRequest("GET", server.url("/"))
            let whole = try await client.withStream(request) { _, body in try await body.collect(upTo: 5) }
            #expect(whole.count == 5)
            let error = await #expect(throws: HTTPClientError.self) {
                _ = try await client.withStream(request) { _, body in try await body.collect(upTo: 4) }
            }
            #expect(error?.code == .tooLarge)
        }
    }
}
