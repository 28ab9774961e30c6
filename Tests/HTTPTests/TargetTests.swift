import HTTP
import Testing

@Suite struct TargetTests {
    @Test(arguments: [
        ("/", [""], ""), ("/a/b", ["a", "b"], ""), ("/a/", ["a", ""], ""), ("//a", ["", "a"], ""), ("/a%20b", ["a b"], ""),
        ("/%C3%BC", ["ü"], ""),
        ("/a+b", ["a+b"], ""), ("/a?b=c&d", ["a"], "b=c&d"), ("/a?", ["a"], ""), ("/a?b?c", ["a"], "b?c"), ("/a?%2F..", ["a"], "%2F.."),
        ("*", ["*"], ""), ("http://h/a/b?c", ["a", "b"], "c"), ("HTTPS://h:1/a", ["a"], ""), ("http://h", [""], ""),
        ("http://h?a=b", [""], "a=b"),
        ("/...", ["..."], ""), ("/a..b/.c", ["a..b", ".c"], ""), ("/a(_)b", ["a(_)b"], ""), ("/a,b;c", ["a,b;c"], ""),
    ])
    func `a target is split first and decoded then`(_ text: String, _ path: [String], _ query: String) throws {
        let target = try #require(Target(Array(text.utf8)))
        #expect(target.path == path)
        #expect(target.query == query)
    }

    @Test(arguments: [
        "", "a", "?a", "/%", "/%2", "/%zz", "/%g0", "/a%2Fb", "/a%2fb", "/a%5Cb", "/a\\b", "/%00", "/%0d%0a", "/%0a", "/%7F", "/%c0%af",
        "/%ff", "/%ed%a0%80",
        "ftp://h/a", "http:/a", "**",
    ])
    func `what must never reach a handler is refused`(_ text: String) {
        #expect(Target(Array(text.utf8)) == nil)
    }

    @Test func `bytes that are not UTF-8 are refused`() {
        #expect(Target([47, 0xFF]) == nil)
        #expect(Target([47, 0xC3]) == nil)
    }

    @Test(arguments: [
        ("/a/b%20c?x=1", ["a", "b c"], "x=1", "/a/b%20c"), ("/", [""], "", "/"), ("/a/", ["a", ""], "", "/a/"), ("*", ["*"], "", "*"),
        ("http://h:1/a?b", ["a"], "b", "/a"), ("http://h", [""], "", "/"), ("/%C3%BC;x", ["ü;x"], "", "/%C3%BC;x"),
    ])
    func `a target keeps its path as sent`(text: String, path: [String], query: String, raw: String) throws {
        let target = try #require(Target(Array(text.utf8)))
        #expect(target.path == path)
        #expect(target.query == query)
        #expect(target.rawPath == raw)
    }

    @Test(arguments: ["/a/../b", "/a/%2e%2e/b", "/./a", "/a%252e", "/%25"]) func `no route sees an unclean path`(text: String) async throws
    {
        let request = try #require(HTTPRequest("GET", text))
        var router = Router()
        for pattern in ["/{all…}", "/a/../b", "/{one}/{two}"] { router.add("GET", pattern) { _, _ in HTTPResponse(200) } }
        #expect(await router.respond(to: request).status == 400)
        router.unclean = { HTTPResponse(404, text: $0.rawPath) }
        #expect(await router.respond(to: request).text == text)
    }

    @Test func `no bytes trap`() {
        var state: UInt64 = 7
        for _ in 0..<10_000 {
            let bytes = (0..<Int(state % 30)).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return [47, 37, 46, 63, 50, 70, 92, UInt8(truncatingIfNeeded: state >> 40)][Int(state >> 33) % 8]
            }
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            guard let target = Target(bytes) else { continue }
            #expect(!target.path.contains { $0.contains("/") || $0.contains("\\") || $0.contains("\0") })
            #expect(target.isUnclean == target.path.contains { $0 == "." || $0 == ".." || $0.contains("%") })
        }
    }
}
