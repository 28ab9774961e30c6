import HTTP
import HTTPClient
import Locking
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct HTTPClientTests {
    @Test func `a request goes out as it is written and its answer comes back whole`() async throws {
        try await withServer { _, body, connection in
            connection.write(
                "HTTP/1.1 100 Continue\r\n\r\n"
                    + "<\(String(decoding: body, as: UTF8.self))>".answer("201 Created", "X-One: a", "x-one:  b "))
        } _: { server in
            let client = HTTPClient()
            let response = try await client.send(
                HTTPClientRequest(
                    "PUT", server.url("/a/b?c=d"), headers: ["X-Empty": "", "Content-Type": "text/x"], body: Array("hello".utf8)))
            #expect(response.status == 201)
            #expect(response.text == "<hello>")
            #expect(response.headers.all("X-One") == ["a", "b"])
            let head = try #require(server.heads.first)
            #expect(head.hasPrefix("PUT /a/b?c=d HTTP/1.1\r\n"))
            #expect(head.contains("\r\nX-Empty:"))
            #expect(head.contains("\r\nContent-Type: text/x"))
            #expect(!head.contains("Expect"))
        }
    }

    @Test(arguments: ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    func `every method goes out with the right length`(_ method: String) async throws {
        try await withServer { _, _, connection in
            connection.write(method == "HEAD" ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" : "hello".answer())
        } _: { server in
            let response = try await HTTPClient().send(HTTPClientRequest(method, server.url("/")))
            #expect(response.text == (method == "HEAD" ? "" : "hello"))
            let head = try #require(server.heads.first)
            #expect(head.hasPrefix("\(method) / "))
            #expect(head.contains("Content-Length: 0") == ["POST", "PUT", "PATCH"].contains(method))
            #expect(!head.contains("Content-Type"))
        }
    }

    @Test func `connections are used again, also after an error status`() async throws {
        try await withServer { head, _, connection in
            connection.write("x".answer(head.hasPrefix("GET /missing") ? "404 Not Found" : "200 OK"))
        } _: { server in
            let client = HTTPClient()
            for path in ["/a", "/missing", "/b"] { _ = try await client.send(HTTPClientRequest("GET", server.url(path))) }
            #expect(server.heads.count == 3)
            #expect(server.connections == 1)
        }
    }

    @Test func `a thousand requests at once are all answered`() async throws {
        try await withServer { head, _, connection in
            connection.write(String(head.split(separator: " ")[1]).answer())
        } _: { server in
            let client = HTTPClient(HTTPClientConfiguration(totalLimit: .seconds(50), connectionsPerHost: 100))
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<1000 {
                    group.addTask { try await client.send(HTTPClientRequest("GET", server.url("/\(number)"))).text == "/\(number)" }
                }
                for try await isRight in group { #expect(isRight) }
            }
            #expect(server.connections <= 100)
        }
    }

    @Test func `every failure has its code and a message that hides credentials and query`() async throws {
        try await withServer { head, _, connection in
            if head.hasPrefix("GET /slow") { connection.untilClosed() }
            if head.hasPrefix("GET /half") { connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf") }
            if head.hasPrefix("GET /garbage") { connection.write("garbage\r\n\r\n") }
            if head.hasPrefix("GET /drip") {
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
                connection.untilClosed()
            }
            if head.hasPrefix("GET /header") {
                while connection.write("HTTP/1.1 200 OK\r\n" + (0..<20_000).map { "X-\($0): yyyyyyyyyyyyyy\r\n" }.joined()) {}
            }
            if head.hasPrefix("GET /big") { connection.write(String(repeating: "x", count: 2000).answer()) }
            if head.hasPrefix("GET /chunks") {
                connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while connection.write("3e8\r\n" + String(repeating: "y", count: 1000) + "\r\n") {}
            }
            return false
        } _: { server in
            let client = HTTPClient(HTTPClientConfiguration(responseLimit: 1500))
            let base = "http://user:secret@127.0.0.1:\(server.port)"
            let cases: [(String, HTTPClientError.Code)] = [
                ("http://user:secret@127.0.0.1:1/?token=secret", .unreachable),
                ("http://user:secret@nowhere.invalid/?token=secret", .unresolved),
                ("https://user:secret@127.0.0.1:\(server.port)/?token=secret", .tls),
                ("ftp://user:secret@127.0.0.1/", .invalid), ("file:///etc/passwd", .invalid), ("nothing at all", .invalid), ("", .invalid),
                (base + "/slow?token=secret", .timedOut), (base + "/drip", .timedOut), (base + "/half", .interrupted),
                (base + "/garbage", .interrupted), (base + "/big", .tooLarge), (base + "/chunks", .tooLarge), (base + "/header", .tooLarge),
            ]
            for (url, code) in cases {
                let error = await #expect(throws: HTTPClientError.self, "\(url)") {
                    _ = try await client.send(
                        HTTPClientRequest(
                            "GET", url, totalLimit: url.contains("/slow") ? .milliseconds(500) : .seconds(20),
                            idleLimit: url.contains("/drip") ? .milliseconds(300) : .seconds(20)))
                }
                #expect(error?.code == code, "\(url): \(error?.description ?? "")")
                #expect(error?.description.contains("secret") == false, "\(error?.description ?? "")")
            }
        }
    }

    @Test(arguments: [
        ("GET", "X-A", "a\r\nX-B: c"), ("GET", "X A", "a"), ("GET", "", "a"), ("G T", "X-A", "a"), ("GET / HTTP/1.1\r\nX:", "X-A", "a"),
    ])
    func `what would break the request's lines is refused`(_ method: String, _ name: String, _ value: String) async throws {
        let error = await #expect(throws: HTTPClientError.self) {
            _ = try await HTTPClient().send(
                HTTPClientRequest(method, "http://127.0.0.1:1/", headers: HTTPHeaders([(name: name, value: value)])))
        }
        #expect(error?.code == .invalid)
    }

    @Test(arguments: [
        ("http://h/p?t=secret#x", "http://h/p"), ("http://u:secret@h:1/p@q", "http://h:1/p@q"), ("https://secret@h", "https://h"),
        ("http://[::1]:8/p", "http://[::1]:8/p"), ("http://u@[::1]", "http://[::1]"), ("u:secret@h:1", "h:1"), ("h", "h"), ("", ""),
        ("http://u:se/cret@h", "http://***"), ("http://u:secret?@h", "http://***"), ("http://u:a@secret@h", "http://h"),
    ])
    func `a URL is shown without credentials and query`(_ url: String, _ expected: String) {
        #expect(HTTPClientRequest.shown(url) == expected)
    }

    @Test func `redirects are followed within their limit, and credentials stay with their origin`() async throws {
        try await withServer { head, _, connection in
            connection.write("there".answer())
        } _: { other in
            try await withServer { head, _, connection in
                if head.hasPrefix("GET /away") { return connection.write("".answer("302 Found", "Location: \(other.url("/x"))")) }
                if head.hasPrefix("GET /near") { return connection.write("".answer("307 Temporary Redirect", "Location: here")) }
                if head.hasPrefix("GET /here") { return connection.write("here".answer()) }
                return connection.write("".answer("301 Moved", "Location: /round"))
            } _: { server in
                let client = HTTPClient()
                let headers: HTTPHeaders = ["X-Config-Token": "secret", "Accept": "text/x"]
                let credentials = HTTPClientRequest.Credentials(user: "u", password: "p")
                #expect(
                    try await client.send(HTTPClientRequest("GET", server.url("/near"), headers: headers, credentials: credentials)).text
                        == "here")
                #expect(server.heads.last?.contains("Authorization: Basic dTpw") == true)
                #expect(server.heads.last?.contains("X-Config-Token") == true)
                #expect(
                    try await client.send(HTTPClientRequest("GET", server.url("/away"), headers: headers, credentials: credentials)).text
                        == "there")
                let head = try #require(other.heads.last)
                #expect(!head.contains("Authorization") && !head.contains("X-Config-Token") && head.contains("Accept: text/x"))
                #expect(try await client.send(HTTPClientRequest("POST", server.url("/post"))).status == 301)
                let error = await #expect(throws: HTTPClientError.self) {
                    _ = try await client.send(HTTPClientRequest("GET", server.url("/round")))
                }
                #expect(error?.code == .redirected)
            }
        }
    }

    @Test func `a cancelled request ends at once and closes its connection`() async throws {
        let left = Locked(false)
        let asked = Locked(false)
        try await withServer { _, _, connection in
            asked.withLock { $0 = true }
            connection.untilClosed()
            left.withLock { $0 = true }
            return false
        } _: { server in
            let client = HTTPClient()
            let task = Task { () async throws(HTTPClientError) -> HTTPClientResponse in
                try await client.send(HTTPClientRequest("GET", server.url("/")))
            }
            try await eventually { asked.withLock { $0 } }
            task.cancel()
            let error = await #expect(throws: HTTPClientError.self) { _ = try await task.value }
            #expect(error?.code == .cancelled)
            try await eventually { left.withLock { $0 } }
        }
    }

    @Test func `a client that goes while its thread sleeps ends the thread`() async throws {
        weak var gone: HTTPClient?
        do {
            let client = HTTPClient()
            gone = client
            let error = await #expect(throws: HTTPClientError.self) {
                _ = try await client.send(HTTPClientRequest("GET", "http://127.0.0.1:1/"))
            }
            #expect(error?.code == .unreachable)
        }
        try await eventually { gone == nil }
    }
}
