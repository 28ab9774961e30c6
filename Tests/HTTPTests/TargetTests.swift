import HTTP
import Testing

struct TargetTests {
    @Test(arguments: [
        ("/a/b%20c?x=1", ["a", "b c"], "x=1", "/a/b%20c"), ("/", [""], "", "/"), ("/a/", ["a", ""], "", "/a/"), ("*", ["*"], "", "*"),
        ("http://h:1/a?b", ["a"], "b", "/a"), ("http://h", [""], "", "/"), ("/%C3%BC;x", ["ü;x"], "", "/%C3%BC;x"),
    ])
    func `a target is decoded by segment`(text: String, path: [String], query: String, raw: String) throws {
        let target = try #require(Target(Array(text.utf8)))
        #expect(target.path == path)
        #expect(target.query == query)
        #expect(target.rawPath == raw)
    }

    @Test(arguments: ["/a%2Fb", "/a%5Cb", "/a\\b", "/%00", "/%zz", "/%", "/%ff", "x", "/%0a"]) func `what no handler may see is no target`(
        text: String
    ) {
        #expect(Target(Array(text.utf8)) == nil)
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
}
