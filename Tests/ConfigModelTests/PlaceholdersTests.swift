import ConfigModel
import Testing

@Suite struct PlaceholdersTests {
    static let values = [
        "greeting": "Hello", "name": "World", "which": "name", "server.port": "80", "hosts[0]": "a", "self": "${self}", "a": "${b}",
        "b": "${a}",
        "twice": "${name} ${name}", "a:b": "whole", "escaped": "\\${name}", "empty": "",
    ]

    private func resolve(_ text: String) throws -> String {
        try Placeholders.resolve(text) { Self.values[$0] }
    }

    @Test(arguments: [
        ("${greeting}", "Hello"), ("${greeting}, ${name}!", "Hello, World!"), ("${nope:fallback}", "fallback"), ("${nope:}", ""),
        ("${nope}", "${nope}"), ("${${which}}", "World"), ("${nope:${name}}", "World"), ("${nope:${nada:deep}}", "deep"),
        ("${server.port}", "80"), ("\\${greeting}", "${greeting}"), ("\\\\${greeting}", "${greeting}"),
        ("\\\\\\${greeting}", "\\${greeting}"),
        ("${hosts[0]}", "a"), ("pre${name}post", "preWorldpost"), ("${nope:a:b}", "a:b"),
        ("http://${host:localhost}:${server.port}/", "http://localhost:80/"),
        ("$greeting", "$greeting"), ("$${greeting}", "$Hello"), ("${ greeting }", "${ greeting }"), ("${GREETING}", "${GREETING}"),
        ("${}", "${}"),
        ("${nope:'q'}", "'q'"), ("${nope:{\"a\":1}}", "{\"a\":1}"), ("#{1+1}", "#{1+1}"), ("${greeting", "${greeting"),
        ("${greeting ${name}", "${greeting World"),
        ("${twice}", "World World"), ("${a:b}", "whole"), ("${escaped}", "${name}"), ("${nope\\:x}", "${nope:x}"), ("x}y{z", "x}y{z"),
        ("", ""), ("$", "$"),
        ("${nope:${empty}x}", "x"), ("${${nope:which}}", "name"), ("${${nope}:d}", "d"), ("ü${name}ü", "üWorldü"),
    ])
    func `a text is resolved as Spring does`(text: String, result: String) throws {
        #expect(try resolve(text) == result)
    }

    @Test func `keys without value and default are told`() throws {
        var missing: [String] = []
        let text = try Placeholders.resolve("${a} ${b} ${c:d} ${${e}} \\${f} ${g", missing: &missing) { $0 == "a" ? "${h}" : nil }
        #expect(text == "${h} ${b} d ${${e}} ${f} ${g")
        #expect(missing == ["h", "b", "e", "${e}"])
    }

    @Test func `a circle is told with its key, and with its texts only to the one who asked`() {
        let error = #expect(throws: PlaceholderError.self) { try resolve("x: ${a}") }
        #expect(error?.description == "Circular placeholder reference 'a'")
        #expect(error?.answer == "Circular placeholder reference 'a' in value \"${a}\" <-- \"${b}\" <-- \"x: ${a}\"")
        #expect(throws: PlaceholderError.self) { try resolve("${self}") }
    }

    @Test func `values that grow without end are refused`() {
        var values = ["k0": "xxxxxxxxxx"]
        for level in 1..<30 { values["k\(level)"] = "${k\(level - 1)}${k\(level - 1)}" }
        #expect(throws: PlaceholderError.self) { try Placeholders.resolve("${k29}", limit: 1 << 20) { values[$0] } }
    }

    @Test func `no text takes long or traps, however its braces stand`() throws {
        for piece in ["${", "{", "}", "${a:", "${${", "\\${", "$", "${x}"] {
            let text = String(repeating: piece, count: 20_000)
            _ = try? Placeholders.resolve(text) { $0 == "x" ? "y" : nil }
        }
        let deep = String(repeating: "${", count: 5000) + "x" + String(repeating: "}", count: 5000)
        #expect(#expect(throws: PlaceholderError.self) { try Placeholders.resolve(deep) { _ in nil } }?.reason == .tooDeep)
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("${}:\\ax")
        for _ in 0..<5000 {
            let text = String((0..<Int.random(in: 0..<40, using: &generator)).map { _ in alphabet.randomElement(using: &generator) ?? "x" })
            _ = try? Placeholders.resolve(text) { $0 == "x" ? "${a}" : $0 == "a" ? "${x:}" : nil }
        }
    }
}
