import ConfigModel
import ConfigRepositories
import GitRepository
import Testing

struct GitURITests {
    @Test(
        arguments: [
            ("https://git.example/cfg.git/", "https://git.example/cfg.git", nil), ("file:///srv/cfg", "file:///srv/cfg", "/srv/cfg"),
            ("file:/srv/cfg/", "file:/srv/cfg", "/srv/cfg"), ("/srv/cfg", "/srv/cfg", "/srv/cfg"), ("./config", "./config", "./config"),
            ("config", "config", "config"), ("git@git.example:team/cfg.git", "git@git.example:team/cfg.git", nil),
            ("ssh://git@git.example:22/cfg", "ssh://git@git.example:22/cfg", nil),
            ("https://user:pw@git.example/cfg", "https://git.example/cfg", nil),
            ("https://token@git.example/cfg", "https://git.example/cfg", nil),
            ("ssh://git:pw@git.example/cfg", "ssh://git@git.example/cfg", nil),
            ("https://git.example/a@b/c", "https://git.example/a@b/c", nil),
        ] as [(String, String, String?)])
    func `a uri is shown without secrets, and leads to a folder or a remote`(text: String, shown: String, path: String?) throws {
        let uri = try GitURI(text)
        #expect(uri.shown == shown)
        #expect(uri.path == path)
    }

    @Test(arguments: [
        "", "ftp://x/y", "ext::sh -c id", "https://", "https:///x", "https://{application}/x", "https://{application}.example/x",
        "git@{label}:x",
        "file://", "-oProxyCommand=id:x", "https://h/\n", "ssh://",
    ])
    func `what cannot be a repository is refused`(text: String) {
        #expect(throws: ConfigError.self) { try GitURI(text) }
    }

    @Test func `values replace placeholders in the path only when they are plain`() throws {
        let uri = try GitURI("https://git.example/{application}/{profile}-{label}.git")
        let audience = Audience(applications: ["team/app"], profiles: ["dev"])
        #expect(try uri.expanded(for: audience, label: "feature/x").shown == "https://git.example/team/app/dev-feature/x.git")
        for name in [
            "", "..", "a/../b", "/a", "a/", "a//b", "-a", "a/.git", "a?b", "a#b", "a b", "a:b", "a@b", "ä", "a\\b", "{label}", "%2e%2e",
        ] {
            #expect(throws: ConfigError.self, "\(name)") {
                try uri.expanded(for: Audience(applications: [name], profiles: ["p"]), label: "l")
            }
        }
    }
}
