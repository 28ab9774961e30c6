import ConfigModel
import Foundation
import TestSupport
import PropertyFormats
import Testing

@Suite struct PropertyWritingTests {
    @Test(arguments: [
        ("pool.size", "POOL_SIZE"), ("hosts[0]", "HOSTS_0"), ("hosts[0].name", "HOSTS_0_NAME"), ("log-level", "LOG_LEVEL"),
        ("camelCase", "CAMELCASE"),
        ("a..b", "A_B"), (".a", "_A"), ("0x", "_0X"), ("ünder.x", "_NDER_X"), ("[k/1]", "_K_1"), ("A_B", "A_B"), ("...", nil), ("", nil),
    ])
    func `a key has the name that shells can use`(key: String, name: String?) {
        #expect(EnvironmentVariables.name(of: key) == name)
    }

    @Test func `keys that cannot be told apart or cannot be had are named`() {
        let variables = EnvironmentVariables([
            Property(key: "a.b", value: .integer(1)), Property(key: "a-b", value: .integer(2)),
            Property(key: "nul", value: .string("a\0b")),
            Property(key: "日", value: .string("x")), Property(key: "z", value: .boolean(true)),
        ])
        #expect(variables.variables.map { "\($0.name)=\($0.value)" } == ["A_B=1", "Z=true"])
        #expect(variables.collidingKeys == ["a-b"])
        #expect(variables.unusableKeys == ["nul", "日"])
    }

    static let hostile = [
        "", "plain", "two words", "it's", "say \"x\"", "a\\b", "$HOME", "`id`", "$(id)", "a\nb\n", "#x", "a#b", "tab\there", "ü日😀", " lead",
        "trail ", "'q'", "a=b",
        "\\", "\\n", "!x", "*", "~", "a;b", "a&b", "\"", "\\\"", "\r",
    ]

    @Test func `a dotenv file gives a shell exactly the values`() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "dotenv-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        let properties = Self.hostile.enumerated().map { Property(key: "v[\($0.offset)]", value: .string($0.element)) }
        try Data(EnvironmentVariables(properties).dotenv.utf8).write(to: file)
        let shell = SpawnedProcess()
        shell.executableURL = URL(filePath: "/bin/sh")
        shell.arguments = [
            "-c", ". \"$0\"; for n in $(seq 0 $1); do eval \"printf '%s\\\\0' \\\"\\$V_$n\\\"\"; done", file.path,
            String(Self.hostile.count - 1),
        ]
        let output = Pipe()
        shell.standardOutput = output
        try shell.run()
        let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
        shell.waitUntilExit()
        let values = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map { String(decoding: $0, as: UTF8.self) }
        #expect(values == Self.hostile)
    }

    @Test func `what is written as properties reads back`() throws {
        let keys = ["a", "a b", "a=b", "a:b", "b#c", "c!d", "d\\e", "ü", "日😀", "h[0]", "tab\tkey"]
        var properties: [Property] = []
        for key in keys {
            for value in Self.hostile { properties.append(Property(key: "\(key).\(properties.count)", value: .string(value))) }
        }
        let text = JavaPropertiesText.write(properties)
        #expect(text.utf8.allSatisfy { $0 < 0x7F })
        for encoding in [PropertyFile.Options.Encoding.latin1, .utf8] {
            let documents = try PropertyFile.parse(Array(text.utf8), path: "t.properties", options: .init(propertiesEncoding: encoding))
            #expect(documents.count == 1)
            #expect(documents[0].properties.map { Property(key: $0.key, value: $0.value) } == properties)
        }
    }
}
