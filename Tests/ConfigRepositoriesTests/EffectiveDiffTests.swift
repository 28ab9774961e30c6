import ConfigModel
import ConfigRepositories
import Testing

@Suite struct EffectiveDiffTests {
    private func repository(_ files: [String: String]) -> MemoryRepository {
        MemoryRepository(
            ["main": MemoryTree(texts: files)], builder: EnvironmentBuilder(prefix: "memory:", parsed: ParsedFiles()))
    }

    private let audiences = [
        Audience(applications: ["orders"], profiles: ["default"]), Audience(applications: ["orders"], profiles: ["prod"]),
        Audience(applications: ["billing"], profiles: ["default"]),
    ]
    private let files = [
        "application.yml": "shared: 1\n", "orders.yml": "a: 1\nlist: [x, y]\n", "orders-prod.yml": "a: 2\n", "billing.yml": "a: 1\n",
    ]

    private func diff(_ changed: [String: String]) async -> EffectiveDiff {
        await EffectiveDiff(from: repository(files), to: repository(files.merging(changed) { $1 }), audiences: audiences)
    }

    @Test func `what changes nothing for anybody gives nothing`() async {
        let diff = await diff(["README.md": "hello", "other.yml": "a: 3\n", "orders.yml": "# a comment\na: 1\nlist: [x, y]\n"])
        #expect(diff.changes == [])
        #expect(diff.notices == [])
        #expect(diff.compared == 3)
    }

    @Test func `a shared file reaches everybody with one notice`() async {
        let diff = await diff(["application.yml": "shared: 2\n"])
        #expect(diff.changes.count == 3)
        #expect(diff.notices.map(\.destination) == ["**"])
        #expect(diff.notices.first?.keys == ["shared"])
        #expect(diff.notices.first?.hash == nil)
    }

    @Test func `a shared value that everybody overrides reaches nobody`() async {
        let before = files.merging(["application.yml": "shared: 1\na: 9\n"]) { $1 }
        let after = files.merging(["application.yml": "shared: 1\na: 10\n"]) { $1 }
        let diff = await EffectiveDiff(from: repository(before), to: repository(after), audiences: audiences)
        #expect(diff.notices == [])
    }

    @Test func `a file of one application reaches its instances only`() async {
        let diff = await diff(["billing.yml": "a: 1\nb: 2\n"])
        #expect(diff.notices.map(\.destination) == ["billing:**"])
        #expect(diff.notices.first?.keys == ["b"])
        #expect(diff.notices.first?.hash == diff.changes.first?.hash)
    }

    @Test func `a file of one profile reaches the instances with that profile only`() async {
        let diff = await diff(["orders-prod.yml": "a: 3\n"])
        #expect(diff.changes.map(\.audience.profiles) == [["prod"]])
        #expect(diff.notices.map(\.destination) == ["orders:prod:**"])
    }

    @Test func `a list counts as a whole, and what is removed is a change`() async {
        let diff = await diff(["orders.yml": "list: [x]\n"])
        #expect(diff.changes.first { $0.audience.profiles == ["default"] }?.keys == ["a", "list[1]"])
        #expect(diff.changes.first { $0.audience.profiles == ["prod"] }?.keys == ["list[1]"])
        #expect(diff.notices.map(\.destination) == ["orders:**"])
    }

    @Test func `an environment that cannot be made any more is a change, and one that never could is none`() async {
        let audience = Audience(applications: ["orders"], profiles: ["default"])
        let missing = Audience(applications: ["orders"], profiles: ["default"], label: "none")
        let diff = await EffectiveDiff(
            from: repository(files), to: repository(files.merging(["orders.yml": "a: [\n"]) { $1 }), audiences: [audience, missing])
        #expect(diff.changes.map(\.audience) == [audience])
        #expect(diff.changes.first?.keys == [])
        #expect(diff.changes.first?.hash == nil)
    }
}
