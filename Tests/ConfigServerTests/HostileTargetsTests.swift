import ConfigRepositories
import ConfigServer
import HTTP
import Testing

struct HostileTargetsTests {
    /// Pieces that paths of attacks are made of.
    private static let pieces = [
        "foo", "dev", "main", "application", "..", ".", "", "(_)", "..(_)", "%2e%2e", "%252e", "%25", "%", "%zz", "%00", "%2f", "%5c", "#",
        "%23", ";x=1",
        ".git", "config", "{application}", "${a}", "*", "**", "?", ",", ",,", "-", "foo-dev.yml", ".yml", ".json", ".properties", "-.yml",
        "file:", "url:",
        "http:", "WEB-INF", "\u{0}", "é", "😀", "\\", " ", "+", "a\nb", "@{u}", "HEAD~1", "refs(_)heads", "notes.txt", "x".repeated(300),
        "overrides",
    ]

    @Test(.timeLimit(.minutes(2))) func `ten thousand random targets trap nothing and leak nothing`() async throws {
        var generator = SystemRandomNumberGenerator()
        let tree = MemoryTree(texts: [
            "application.yml": "a: 1\nb: ${a}", "foo.yml": "c: [1, 2]\nspring.config.import: ../../x.yml", "notes.txt": "${a} ${b:${c}",
            ".git/config": "SECRET",
        ])
        let builder = EnvironmentBuilder(
            locations: .searchPaths(["{application}", "{profile}/*", "x/{label}"]), prefix: "m:", parsed: ParsedFiles())
        let routes = ConfigRoutes(
            OverridingRepository(DecryptingRepository(MemoryRepository(["main": tree], builder: builder)), overrides: []))
        var router = Router()
        routes.install(in: &router)
        let accepts: [String?] = [
            nil, "*/*", "application/json", "application/octet-stream", "text/html;q=x", "a/b/c", ",,;;", "*/*;q=0", "\u{0}",
        ]
        for _ in 0..<10_000 {
            var target = ""
            for _ in 0..<Int.random(in: 0...7, using: &generator) {
                target += Bool.random(using: &generator) ? "/" : ""
                target += Self.pieces.randomElement(using: &generator) ?? ""
            }
            if Int.random(in: 0..<4, using: &generator) == 0 {
                target +=
                    "?"
                    + (["useDefaultLabel", "resolvePlaceholders=maybe", "minVersion=%00", "a=%", "&&=&"].randomElement(using: &generator)
                        ?? "")
            }
            var headers: HTTPHeaders = [:]
            headers["Accept"] = accepts.randomElement(using: &generator) ?? nil
            if Int.random(in: 0..<8, using: &generator) == 0 { headers["If-None-Match"] = "\"x\", W/\"" }
            if Int.random(in: 0..<8, using: &generator) == 0 { headers["If-Modified-Since"] = "Mon, 99 Foo 2024 00:00:00 GMT" }
            guard
                let request = HTTPRequest(
                    ["GET", "HEAD", "POST", "OPTIONS"].randomElement(using: &generator) ?? "GET", "/" + target, headers: headers)
            else { continue }
            let answer = await router.respond(to: request)
            #expect([200, 304, 400, 404, 405, 406, 500, 503].contains(answer.status), "\(target)")
            #expect(answer.text?.contains("SECRET") != true, "\(target)")
            if answer.status == 500 { #expect(answer.text?.contains("No message available") == true, "\(target)") }
            RequestHead.with("/" + target) { if let kept = router.cached($0) { #expect(kept.response.status == 200) } }
        }
    }
}

extension String {
    fileprivate func repeated(_ count: Int) -> String { String(repeating: self, count: count) }
}
