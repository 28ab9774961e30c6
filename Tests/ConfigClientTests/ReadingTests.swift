import ConfigClient
import ConfigModel
import Testing

struct ReadingTests {
    private let config = snapshot([
        "pool.max-size": .integer(8), "pool.waitLimit": .string("10s"), "pool.name": .string("main"), "pool.shared": .string("on"),
        "pool.ratio": .double(0.5), "pool.hosts[0]": .string("a"), "pool.hosts[1]": .string("b"), "ports": .string("1, 2 ,3"),
        "pool.labels.region": .string("eu"), "pool.labels.zone": .string("z1"), "pool.nodes[0].host": .string("n0"),
        "pool.nodes[0].port": .integer(1), "pool.nodes[1].host": .string("n1"), "pools": .string("other"), "secret": .string("hunter2"),
        "hex": .string("0x1F"), "size": .string("10MB"), "empty": .string(""), "big": .integer("123456789012345678901234567890"),
        "url": .string("http://${host:localhost}:${pool.max-size}/"), "loop": .string("${loop}"), "literal": .string("\\${x}"),
    ])

    @Test func `values are read by type, and names are relaxed`() throws {
        #expect(try config.int("pool.max-size") == 8)
        #expect(try config.int("pool.maxSize") == 8)
        #expect(try config.int("POOL.MAX_SIZE") == 8)
        #expect(try config.duration("pool.wait-limit") == .seconds(10))
        #expect(try config.bool("pool.shared"))
        #expect(try config.double("pool.ratio") == 0.5)
        #expect(try config.strings("pool.hosts") == ["a", "b"])
        #expect(try config.list("ports", of: Int.self) == [1, 2, 3])
        #expect(try config.strings("empty") == [])
        #expect(try config.int("hex") == 31)
        #expect(try config.byteCount("size") == 10 << 20)
        #expect(try config.int("absent", default: 3) == 3)
        #expect(try config.strings("absent", default: ["x"]) == ["x"])
        #expect(config.entries(under: "pool").count == 12)
        #expect(config.entries(under: "pool").contains { $0.key == "pools" } == false)
    }

    @Test func `placeholders are resolved, and what cannot be stays`() throws {
        #expect(try config.string("url") == "http://localhost:8/")
        #expect(try config.string("loop") == "${loop}")
        #expect(try config.string("literal") == "${x}")
    }

    @Test func `errors name key, type and origin, never the value`() throws {
        let mistyped = #expect(throws: ConfigError.self) { try config.int("secret", default: 1) }
        #expect(mistyped?.code == .mistyped)
        #expect(mistyped?.message.contains("secret is not an integer") == true)
        #expect(mistyped?.message.contains("file:app.yml:") == true)
        #expect(mistyped?.description.contains("hunter2") == false)
        let missing = #expect(throws: ConfigError.self) { try config.bool("nothing") }
        #expect(missing?.code == .missing)
        #expect(#expect(throws: ConfigError.self) { try config.int("big") }?.code == .mistyped)
        #expect(config.entry("secret")?.description.contains("hunter2") == false)
    }

    @Test func `settings are shown without their secrets`() {
        let settings = ConfigClientSettings(
            servers: ["http://u:secret@h"], application: "app", label: "main", token: "secret",
            credentials: .init(user: "u", password: "secret"),
            headers: ["X-Key": "secret"])
        #expect("\(settings)" == "app/default/main")
        #expect(!String(reflecting: settings).contains("secret"))
    }

    struct Pool: Decodable, Equatable {
        struct Node: Decodable, Equatable {
            var host: String
            var port: Int?
        }
        var maxSize: Int
        var waitLimit: Duration
        var shared: Bool
        var hosts: [String]
        var labels: [String: String]
        var nodes: [Node]
        var colour: String?
    }

    @Test func `a section is decoded with relaxed names, lists and maps`() throws {
        let pool = try config.section("pool", as: Pool.self)
        #expect(
            pool
                == Pool(
                    maxSize: 8, waitLimit: .seconds(10), shared: true, hosts: ["a", "b"], labels: ["region": "eu", "zone": "z1"],
                    nodes: [.init(host: "n0", port: 1), .init(host: "n1", port: nil)], colour: nil))
    }

    struct Wrong: Decodable { var name: Int }
    struct Absent: Decodable { var other: Int }
    struct Deep: Decodable {
        struct Node: Decodable { var host: Int }
        var nodes: [Node]
    }

    @Test func `a section that does not fit names the key and its place`() throws {
        let wrong = #expect(throws: ConfigError.self) { try config.section("pool", as: Wrong.self) }
        #expect(wrong?.message.contains("pool.name is not an integer") == true)
        #expect(wrong?.message.contains("app.yml") == true)
        let absent = #expect(throws: ConfigError.self) { try config.section("pool", as: Absent.self) }
        #expect(absent?.message == "pool.other has no value; set it")
        let deep = #expect(throws: ConfigError.self) { try config.section("pool", as: Deep.self) }
        #expect(deep?.message.contains("pool.nodes[0].host") == true)
        #expect(#expect(throws: ConfigError.self) { try config.section("pool", as: Int.self) }?.code == .mistyped)
    }

    @Test(arguments: [
        ("10s", Duration.seconds(10)), ("500ms", .milliseconds(500)), ("2m", .seconds(120)), ("3h", .seconds(10_800)),
        ("1d", .seconds(86_400)),
        ("250", .milliseconds(250)), ("5us", .microseconds(5)), ("7ns", .nanoseconds(7)), ("-1s", .seconds(-1)), ("PT1M30S", .seconds(90)),
        ("P1DT2H", .seconds(93_600)), ("pt0.5s", .milliseconds(500)), (" 4s ", .seconds(4)), ("100000d", .seconds(8_640_000_000)),
    ])
    func `durations have these forms`(_ text: String, _ expected: Duration) throws {
        #expect(try snapshot(["d": .string(text)]).duration("d") == expected)
    }

    @Test(arguments: [
        "", "s", "10 parsecs", "P", "PT", "PT5", "1h30m", "9999999999999999999s", "9223372036854775807d", "PT1e400S", "P1M", "--1s",
    ])
    func `other durations are errors`(_ text: String) throws {
        #expect(#expect(throws: ConfigError.self) { try snapshot(["d": .string(text)]).duration("d") }?.code == .mistyped)
    }

    @Test(arguments: [("512", 512), ("10KB", 10_240), ("1 GiB", 1 << 30), ("2b", 2), ("-1KB", -1024)])
    func `sizes have these forms`(_ text: String, _ expected: Int) throws {
        #expect(try snapshot(["s": .string(text)]).byteCount("s") == expected)
        #expect(try snapshot(["s": .string(text)]).section("s", as: ByteCount.self).bytes == expected)
    }

    @Test(arguments: ["", "MB", "1XB", "99999999TB", "1.5MB"])
    func `other sizes are errors`(_ text: String) throws {
        #expect(#expect(throws: ConfigError.self) { try snapshot(["s": .string(text)]).byteCount("s") }?.code == .mistyped)
    }

    @Test func `hostile keys and sections trap nothing`() throws {
        struct Numbers: RandomNumberGenerator {
            var state: UInt64
            mutating func next() -> UInt64 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return state ^ state >> 29
            }
        }
        var random = Numbers(state: 7)
        let pieces = [
            "a", "b", ".", "..", "[", "]", "[0]", "[1]", "[99999999999999999999]", "[x.y]", "-", "_", "é", "${", "}", "\\", ":", "", "P",
            "T1",
        ]
        for _ in 0..<300 {
            func text() -> String {
                (0..<Int.random(in: 0...6, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            }
            let config = snapshot(
                Dictionary((0..<5).map { _ in (text(), PropertyValue.string(text())) }, uniquingKeysWith: { first, _ in first }))
            for name in config.keys + ["", "a", "a.b"] {
                _ = try? config.section(name, as: Pool.self)
                _ = try? config.section(name, as: [String: String].self)
                _ = try? config.list(name, of: Int.self)
                _ = try? config.duration(name)
                _ = try? config.byteCount(name)
            }
        }
    }
}
