import HTTP
import HTTPServer
import Lifecycle
import Telemetry
import Testing
import TestSupport

@Suite(.timeLimit(.minutes(2))) struct HTTPServerTests {
    static var router: Router {
        var router = Router()
        router.add("GET", "/hello") { _, _ in HTTPResponse(text: "hello\n") }
        router.add("POST", "/echo") { request, _ in
            HTTPResponse(bytes: request.body, type: request.headers["Content-Type"] ?? "application/octet-stream")
        }
        router.add("GET", "/show/{rest…}") { request, values in
            HTTPResponse(
                text:
                    "\(request.method) \(request.path) \(request.query) \(values["rest"] ?? "") \(request.remoteAddress) \(request.headers.all("X"))"
            )
        }
        let hit = CachedResponse(HTTPResponse(text: "from the cache\n", headers: ["ETag": "\"1\""]))
        router.add(cache: { head in
            guard head.target.elementsEqual("/cached".utf8), head.header("Accept-Language") != "never" else { return nil }
            return hit
        })
        return router
    }

    @Test func `a request reaches its route and is answered`() async throws {
        try await withServer(Self.router) { server in
            let answer = try await server.answer(get("/hello"))
            #expect(answer.status == 200)
            #expect(answer.text == "hello\n")
            #expect(answer.field("content-type") == "text/plain;charset=UTF-8")
            #expect(answer.field("content-length") == "6")
        }
    }

    @Test func `a handler gets path, query, headers and address as they were sent`() async throws {
        try await withServer(Self.router) { server in
            let answer = try await server.answer(get("/show/a%20b/%C3%BC?x=%2F&y", "X: 1", "x:2  "))
            #expect(answer.text == #"GET ["show", "a b", "ü"] x=%2F&y a b/ü 127.0.0.1 ["1", "2"]"#)
        }
    }

    @Test func `an absolute target and one with an empty query are served`() async throws {
        try await withServer(Self.router) { server in
            for request in [get("http://test/hello"), get("/hello?"), "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n"] {
                let answer = try await server.answer(request)
                #expect(answer.status == 200, "\(request)")
            }
        }
    }

    @Test func `an answer at hand is sent without asking the routes`() async throws {
        try await withServer(Self.router) { server in
            let client = try server.client()
            for _ in 0..<3 {
                try await client.send(get("/cached"))
                let answer = try await client.answer()
                #expect(answer.status == 200)
                #expect(answer.text == "from the cache\n")
                #expect(answer.field("etag") == "\"1\"")
            }
            try await client.send(get("/cached", "accept-language: never"))
            #expect(try await client.answer().status == 404)
        }
    }

    @Test func `HEAD is answered with the length and without the body`() async throws {
        try await withServer(Self.router) { server in
            for path in ["/hello", "/cached"] {
                let client = try server.client()
                try await client.send("HEAD \(path) HTTP/1.1\r\nHost: test\r\n\r\n")
                let answer = try await client.answer(isHead: true)
                #expect(answer.status == 200)
                #expect(answer.field("content-length") == (path == "/hello" ? "6" : "15"))
                try await client.send("HEAD /nothing HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                #expect(try await client.untilEnd().hasPrefix("HTTP/1.1 404"))
            }
        }
    }

    @Test func `a body comes whole, by length or in chunks`() async throws {
        try await withServer(Self.router) { server in
            let client = try server.client()
            try await client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Type: text/x\r\nContent-Length: 5\r\n\r\nabcde")
            let answer = try await client.answer()
            #expect(answer.text == "abcde")
            #expect(answer.field("content-type") == "text/x")
            try await client.send(
                "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n"
            )
            let chunked = try await client.answer()
            #expect(chunked.text == "abcdefg")
            #expect(chunked.field("connection") == "close", "nothing behind a chunked body is trusted")
            #expect(try await client.isClosed())
        }
    }

    @Test func `Expect is answered before the body is sent`() async throws {
        try await withServer(Self.router) { server in
            let client = try server.client()
            try await client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            #expect(try await client.until("\r\n\r\n").hasPrefix("HTTP/1.1 100"))
            try await client.send("ok")
            #expect(try await client.answer().text == "ok")
        }
    }

    @Test func `pipelined requests are answered in order`() async throws {
        try await withServer(Self.router) { server in
            let requests = (0..<50).map { get("/show/\($0)") }.joined() + get("/show/last", "Connection: close")
            let answers = try await server.exchange(requests)
            let numbers = answers.split(separator: "GET [\"show\", \"").dropFirst().map { $0.prefix { $0 != "\"" } }
            #expect(numbers == (0..<50).map { "\($0)" } + ["last"])
        }
    }

    @Test func `an old client without Host is answered and its connection closed`() async throws {
        try await withServer(Self.router) { server in
            let text = try await server.exchange("GET /hello HTTP/1.0\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 200") || text.hasPrefix("HTTP/1.0 200"))
            #expect(text.hasSuffix("hello\n"))
        }
    }

    @Test func `a large answer arrives whole`() async throws {
        var router = Router()
        let bytes = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        router.add("GET", "/large") { _, _ in HTTPResponse(bytes: bytes, type: "application/octet-stream") }
        try await withServer(router) { server in
            let answer = try await server.answer(get("/large"))
            #expect(answer.body == bytes)
        }
    }

    @Test func `a line break in a field of an answer cannot begin another one`() async throws {
        var router = Router()
        router.add("GET", "/") { _, _ in
            HTTPResponse(200, text: "x", headers: ["Good": "1", "Bad": "a\r\nSet-Cookie: b", "Content-Length": "99"])
        }
        try await withServer(router) { server in
            let answer = try await server.answer(get("/"))
            #expect(answer.field("good") == "1")
            #expect(answer.field("set-cookie") == nil)
            #expect(answer.field("content-length") == "1")
        }
    }

    @Test func `answers without a body keep their connection, and a 304 says the length that it spares`() async throws {
        var router = Self.router
        router.add("GET", "/204") { _, _ in HTTPResponse(204, headers: ["ETag": "\"1\"", "Content-Length": "7"]) }
        router.add("GET", "/304") { _, _ in HTTPResponse(304, headers: ["ETag": "\"1\"", "Content-Length": "4096"]) }
        try await withServer(router) { server in
            let client = try server.client()
            for (status, length) in [(204, nil), (304, "4096"), (204, nil), (304, "4096")] as [(Int, String?)] {
                try await client.send(get("/\(status)"))
                let answer = try await client.answer(isHead: true)
                #expect(answer.status == status)
                #expect(answer.field("etag") == "\"1\"")
                #expect(answer.field("content-length") == length)
                #expect(answer.field("transfer-encoding") == nil)
            }
            try await client.send(get("/hello"))
            #expect(try await client.answer().text == "hello\n")
        }
    }
}
