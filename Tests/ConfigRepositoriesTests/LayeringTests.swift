import ConfigModel
import ConfigRepositories
import Testing

/// Lines `key=value`, documents apart by `---`: the order of files is tested here, not their syntax.
let lines = ParsedFiles { (path, bytes) throws(ConfigError) in
    let text = String(decoding: bytes, as: UTF8.self)
    if text.contains("broken") { throw ConfigError(.broken, "\(path): broken") }
    return ParsedFile(
        documents: text.split(separator: "---").map { document in
            document.split(separator: "\n").map { line in
                let parts = line.split(separator: "=", maxSplits: 1)
                return Property(key: String(parts[0]), value: .string(parts.count > 1 ? String(parts[1]) : ""))
            }
        })
}

struct LayeringTests {
    func names(
        _ files: [String: String], _ application: String = "foo", _ profiles: String = "default", label: String = "main",
        locations: EnvironmentBuilder.Locations = .searchPaths([])
    ) throws -> [String] {
        let audience = Audience(
            applications: application.split(separator: ",").map(String.init), profiles: profiles.split(separator: ",").map(String.init))
        return try EnvironmentBuilder(locations: locations, prefix: "", parsed: lines)
            .sources(in: MemoryTree(texts: files), for: audience, label: label).map(\.name)
    }

    func files(_ names: String...) -> [String: String] { Dictionary(uniqueKeysWithValues: names.map { ($0, "a=1") }) }

    @Test func `profiles stand above applications, applications above extensions`() throws {
        let all = files(
            "application.yml", "application.properties", "foo.yaml", "foo.yml", "foo.xml", "foo.properties", "foo-dev.yml",
            "application-dev.yml",
            "foo-prod.yml", "bar.yml")
        #expect(
            try names(all, "foo,bar", "dev,prod") == [
                "foo-prod.yml", "foo-dev.yml", "application-dev.yml", "bar.yml", "foo.properties", "foo.xml", "foo.yml", "foo.yaml",
                "application.properties", "application.yml",
            ])
    }

    @Test func `a profile's file in any location stands above every file without profile`() throws {
        let all = files("foo-dev.yml", "foo.yml", "x/foo.yml", "x/application.yml", "foo/foo.yml")
        #expect(
            try names(all, "foo", "dev", locations: .searchPaths(["x", "{application}"]))
                == ["foo-dev.yml", "foo/foo.yml", "x/foo.yml", "x/application.yml", "foo.yml"])
    }

    @Test func `a label's folder is searched last where the repository has no labels`() throws {
        let all = files("a/foo.yml", "b/foo.yml", "a/v2/foo.yml", "foo.yml")
        #expect(try names(all, label: "v2", locations: .folders(["a", "b"], labels: true)) == ["a/v2/foo.yml", "b/foo.yml", "a/foo.yml"])
        #expect(try names(all, label: "v2", locations: .folders(["a", "b"], labels: false)) == ["b/foo.yml", "a/foo.yml"])
    }

    @Test func `documents keep their place and their number, and count only when their condition holds`() throws {
        let all = ["foo.yml": "a=1\n---\nspring.config.activate.on-profile=dev\n---\na=3"]
        #expect(try names(all, "foo", "dev") == ["foo.yml (document #2)", "foo.yml (document #1)", "foo.yml (document #0)"])
        #expect(try names(all, "foo", "x") == ["foo.yml (document #2)", "foo.yml (document #0)"])
    }

    @Test func `an import stands above the document that imports it, its profiles' files above it`() throws {
        var all = files("one.properties", "sub/two.yml", "sub/two-dev.yml", "sub/three.yml", "foo-dev.yml")
        all["foo.yml"] = "spring.config.import=one.properties,optional:sub/two.yml,not-there.yml,file:/etc/passwd,../../x.yml"
        #expect(try names(all, "foo", "dev") == ["foo-dev.yml", "sub/two-dev.yml", "sub/two.yml", "one.properties", "foo.yml"])
        all["sub/two.yml"] = "spring.config.import=three.yml,/one.properties,two.yml"
        #expect(
            try names(all, "foo", "dev") == ["foo-dev.yml", "sub/two-dev.yml", "sub/three.yml", "sub/two.yml", "one.properties", "foo.yml"])
    }

    @Test func `files may include profiles and name groups of them`() throws {
        var all = files("foo-extra.yml", "foo-dev.yml", "foo-db.yml", "foo-mq.yml")
        all["foo.yml"] = "spring.profiles.include=extra\nspring.profiles.group.dev=db,mq"
        #expect(try names(all, "foo", "dev") == ["foo-mq.yml", "foo-db.yml", "foo-dev.yml", "foo-extra.yml", "foo.yml"])
    }

    @Test(arguments: [
        ["foo.yml": "spring.profiles=dev"], ["foo-dev.yml": "spring.profiles.include=x"], ["foo.yml": "broken"],
        ["foo.yml": "spring.config.activate.on-profile=dev\nspring.profiles.include=x"],
    ])
    func `what cannot be read is an error that names the file`(files: [String: String]) {
        let error = #expect(throws: ConfigError.self) { try names(files, "foo", "dev") }
        #expect(error?.code == .broken)
        #expect(error?.message.contains("foo") == true)
    }

    @Test func `an import bomb is an error, not a hang`() {
        var all: [String: String] = [:]
        for number in 0..<1200 { all["n\(number).yml"] = "spring.config.import=n\(number + 1).yml" }
        all["foo.yml"] = "spring.config.import=n0.yml"
        let error = #expect(throws: ConfigError.self) { try names(all) }
        #expect(error?.code == .broken)
    }

    @Test(arguments: ["-dev", "dev-", "a b", "a/b", "..", "d$", ""]) func `a profile that is not allowed is refused`(profile: String) {
        let audience = Audience(applications: ["foo"], profiles: ["dev", profile])
        let error = #expect(throws: ConfigError.self) {
            try EnvironmentBuilder(prefix: "", parsed: lines).sources(in: MemoryTree(texts: [:]), for: audience, label: "main")
        }
        #expect(error?.code == .invalid)
    }
}
