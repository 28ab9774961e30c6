import HTTP
import Testing

@Suite struct HTTPHeadersTests {
    @Test func `names compare without case and keep their order`() {
        var headers: HTTPHeaders = ["Content-Type": "a", "X": "1", "x": "2"]
        #expect(headers["content-type"] == "a")
        #expect(headers["X"] == "1")
        #expect(headers.all("X") == ["1", "2"])
        headers["x"] = "3"
        #expect(headers.all("X") == ["3"])
        #expect(headers.fields.map(\.name) == ["Content-Type", "X"])
        headers["CONTENT-TYPE"] = nil
        #expect(headers.fields.map(\.name) == ["X"])
        headers.add("Y", "4")
        headers["Z"] = "5"
        #expect(headers.fields.map(\.value) == ["3", "4", "5"])
        headers["Q"] = nil
        #expect(!headers.isEmpty && HTTPHeaders().isEmpty)
    }

    @Test func `only ASCII letters lose their case`() {
        #expect(HTTPHeaders.same("ABC-xyz", "abc-XYZ"))
        #expect(!HTTPHeaders.same("A", "[") && !HTTPHeaders.same("@", "`") && !HTTPHeaders.same("Ä", "ä") && !HTTPHeaders.same("a", "ab"))
    }
}

@Suite struct PercentEncodingTests {
    @Test(arguments: [
        ("abc-._~XYZ019", "abc-._~XYZ019"), ("a b", "a%20b"), ("a/b?c", "a%2Fb%3Fc"), ("ü€😀", "%C3%BC%E2%82%AC%F0%9F%98%80"), ("%", "%25"),
        ("\0\n", "%00%0A"), ("", ""),
    ])
    func `everything but unreserved characters is encoded, and decoded again`(_ plain: String, _ encoded: String) {
        #expect(PercentEncoding.encode(plain) == encoded)
        #expect(PercentEncoding.decode(encoded) == plain)
    }

    @Test func `characters to keep stay`() {
        #expect(PercentEncoding.encode("a/b c", keeping: "/") == "a/b%20c")
    }

    @Test(arguments: [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("a%2", "a%2"), ("%2%20", "%2 "), ("a+b", "a+b")])
    func `broken sequences stay as they are`(_ text: String, _ decoded: String) {
        #expect(PercentEncoding.decode(text) == decoded)
    }

    @Test func `forms are read as browsers write them`() {
        let fields = FormURLEncoding.decode("a=1&b=x+y%20z&c&d=&=e&a=2&f=g=h&&")
        #expect(fields.map(\.name) == ["a", "b", "c", "d", "", "a", "f"])
        #expect(fields.map(\.value) == ["1", "x y z", "", "", "e", "2", "g=h"])
    }

    @Test func `a request finds its parameters`() throws {
        let request = try #require(HTTPRequest("GET", "/a%20b/c?destination=x%3A**&empty&n=1&n=2"))
        #expect(request.pathText == "/a b/c")
        #expect(request.parameter("destination") == "x:**")
        #expect(request.parameter("empty") == "")
        #expect(request.parameter("n") == "1")
        #expect(request.parameter("none") == nil)
        #expect(HTTPRequest("GET", "/%2F") == nil)
    }
}

@Suite struct HTTPResponseTests {
    @Test func `text and bytes carry their type`() {
        let text = HTTPResponse(404, text: "ü", headers: ["X": "1"])
        #expect(text.bytes == [0xC3, 0xBC] && text.headers["content-type"] == "text/plain;charset=UTF-8" && text.headers["x"] == "1")
        #expect(HTTPResponse(bytes: [1], type: "a/b").status == 200)
        #expect(HTTPResponse(200, body: .stream { _ in }).bytes == nil)
    }

    @Test func `a writer passes on what it is given`() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self, bufferingPolicy: .bufferingOldest(4))
        let writer = BodyWriter { continuation.yield($0) }
        try await writer.write([1, 2])
        try await writer.write([3])
        continuation.finish()
        var pieces: [[UInt8]] = []
        for await piece in stream { pieces.append(piece) }
        #expect(pieces == [[1, 2], [3]])
    }
}
