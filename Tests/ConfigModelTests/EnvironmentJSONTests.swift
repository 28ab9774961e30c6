import ConfigModel
import Testing

@Suite struct EnvironmentJSONTests {
    static let environment = ConfigEnvironment(
        name: "foo", profiles: ["dev,mysql"], label: nil, version: "abc", state: "",
        propertySources: [
            PropertySource(
                name: "https://git.example/cfg.git/foo-dev.yml",
                properties: [
                    Property(key: "port", value: .integer(8080), origin: Origin(line: 3, column: 7)),
                    Property(key: "big", value: .integer("123456789012345678901234567890")),
                    Property(key: "rate", value: .double(1e8), origin: Origin(line: 4, column: 1)),
                    Property(key: "debug", value: .boolean(true)),
                    Property(key: "text", value: .string("a\"b\\c\n\t\u{1}ü😀/"), origin: Origin(line: 9, column: 0)),
                ]),
            PropertySource(name: "overrides", properties: [Property(key: "x", value: .string("y"))]),
        ])

    @Test func `values stand as they are in the first form, in the order of the original`() {
        #expect(
            String(decoding: EnvironmentJSON.encode(Self.environment, as: .plain), as: UTF8.self) == """
                {"name":"foo","profiles":["dev,mysql"],"label":null,"version":"abc","state":"","propertySources":[\
                {"name":"https://git.example/cfg.git/foo-dev.yml","source":{"port":8080,"big":123456789012345678901234567890,"rate":1.0E8,\
                "debug":true,"text":"a\\"b\\\\c\\n\\t\\u0001ü😀/"}},{"name":"overrides","source":{"x":"y"}}]}
                """)
    }

    @Test func `values whose place is known carry it in the second form`() {
        #expect(
            String(decoding: EnvironmentJSON.encode(Self.environment, as: .withOrigins), as: UTF8.self) == """
                {"name":"foo","profiles":["dev,mysql"],"label":null,"version":"abc","state":"","propertySources":[\
                {"name":"https://git.example/cfg.git/foo-dev.yml","source":{"port":{"value":8080,"origin":"3:7"},"big":123456789012345678901234567890,\
                "rate":{"value":1.0E8,"origin":"4:1"},"debug":true,"text":{"value":"a\\"b\\\\c\\n\\t\\u0001ü😀/","origin":"9:0"}}},\
                {"name":"overrides","source":{"x":{"value":"y","origin":"Config server overrides"}}}]}
                """)
    }

    @Test func `both forms come back as they went`() throws {
        #expect(try EnvironmentJSON.decode(EnvironmentJSON.encode(Self.environment, as: .withOrigins)) == Self.environment)
        var plain = Self.environment
        for index in plain.propertySources[0].properties.indices { plain.propertySources[0].properties[index].origin = nil }
        #expect(try EnvironmentJSON.decode(EnvironmentJSON.encode(Self.environment, as: .plain)) == plain)
    }

    @Test func `nested values of other servers are made flat`() throws {
        let text =
            #"{"name":"a","profiles":[],"propertySources":[{"name":"s","source":{"a":{"b":[1,{"c":null}],"value":1},"e":[]}}],"more":1}"#
        let environment = try EnvironmentJSON.decode(Array(text.utf8))
        #expect(
            environment.propertySources[0].properties == [
                Property(key: "a.b[0]", value: .integer(1)), Property(key: "a.b[1].c", value: .string("")),
                Property(key: "a.value", value: .integer(1)), Property(key: "e", value: .string("")),
            ])
    }

    @Test(arguments: [
        "", "[]", "{}", "{\"name\":1,\"propertySources\":[]}", "{\"name\":\"a\"}", "{\"name\":\"a\",\"propertySources\":[{}]}",
        "{\"name\":\"a\",\"propertySources\":[]} x", "{\"name\":\"a\",\"propertySources\":[{\"name\":\"s\",\"source\":[]}]}",
        "{\"name\":\"a",
    ])
    func `anything else is refused`(text: String) {
        #expect(throws: EnvironmentJSON.Malformed.self) { try EnvironmentJSON.decode(Array(text.utf8)) }
    }

    @Test func `mutated answers trap nothing`() {
        let bytes = EnvironmentJSON.encode(Self.environment, as: .withOrigins)
        for _ in 0..<5000 {
            var mutated = bytes
            for _ in 0...Int.random(in: 0..<4) where mutated.count > 1 {
                switch Int.random(in: 0..<3) {
                case 0: mutated[Int.random(in: 0..<mutated.count)] = UInt8.random(in: 0...255)
                case 1: mutated.remove(at: Int.random(in: 0..<mutated.count))
                default: mutated = Array(mutated.prefix(Int.random(in: 1...mutated.count)))
                }
            }
            _ = try? EnvironmentJSON.decode(mutated)
        }
    }
}
