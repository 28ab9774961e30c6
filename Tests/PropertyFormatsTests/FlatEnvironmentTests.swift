import ConfigModel
import JSON
import PropertyFormats
import Testing

@Suite struct FlatEnvironmentTests {
    private func flat(_ text: String, _ path: String = "t.yml") throws -> FlatEnvironment {
        let sources = try PropertyFile.parse(Array(text.utf8), path: path).map { PropertySource(name: path, properties: $0.properties) }
        return FlatEnvironment(ConfigEnvironment(name: "t", profiles: ["x"], propertySources: sources))
    }

    @Test func `the worked example of the specification`() throws {
        func source(_ path: String, _ text: String) throws -> PropertySource {
            PropertySource(name: path, properties: try PropertyFile.parse(Array(text.utf8), path: path)[0].properties)
        }
        let environment = ConfigEnvironment(
            name: "foo", profiles: ["dev"],
            propertySources: [
                try source("foo-dev.properties", "port=8080"), try source("foo.yml", "{hosts: [x], who: foo}"),
                try source("application.yml", "{port: 80, hosts: [a,b,c], msg: \"hi ${who:you}\"}"),
            ])
        let flat = FlatEnvironment(environment)
        #expect(try flat.propertiesText(resolvingPlaceholders: true) == "port: 8080\nmsg: hi foo\nwho: foo\nhosts[0]: x")
        #expect(try flat.yamlText(resolvingPlaceholders: true) == "port: '8080'\nmsg: hi foo\nwho: foo\nhosts:\n- x\n")
        #expect(
            try flat.jsonText(resolvingPlaceholders: true) == "{\"port\":\"8080\",\"msg\":\"hi foo\",\"who\":\"foo\",\"hosts\":[\"x\"]}")
        #expect(
            try flat.jsonText(resolvingPlaceholders: false)
                == "{\"port\":\"8080\",\"msg\":\"hi ${who:you}\",\"who\":\"foo\",\"hosts\":[\"x\"]}")
    }

    @Test(arguments: [
        ("", "{}\n", "{}"), ("a: {}", "{}\n", "{}"), ("just text", "just text\n", "{\"document\":\"just text\"}"),
        ("true", "'true'\n", "{\"document\":true}"), ("[a, [b]]", "- a\n- - b\n", "{\"document\":[\"a\",[\"b\"]]}"),
        ("'a[2]': x", "a:\n- null\n- null\n- x\n", "{\"a\":[null,null,\"x\"]}"),
        ("a: {'': 1}", "a:\n  ? ''\n  : 1\n", "{\"a\":{\"\":1}}"), ("\"k\\nl\": 1", "? |-\n  k\n  l\n: 1\n", "{\"k\\nl\":1}"),
        ("a: \"x \\ny\"", "a: \"x \\ny\"\n", "{\"a\":\"x \\ny\"}"),
        ("a: \"\\uFEFFx\\u00A0\"", "a: \u{FEFF}x\u{A0}\n", "{\"a\":\"\u{FEFF}x\u{A0}\"}"),
        ("a: \"x\\u2028y\"", "a: |-\n  x\u{2028}  y\n", "{\"a\":\"x\u{2028}y\"}"),
        ("a: \"\\ty\\U0001F600\"", "a: \"\\ty😀\"\n", "{\"a\":\"\\ty😀\"}"),
    ])
    func `a document has the form of the original`(text: String, yaml: String, json: String) throws {
        #expect(try flat(text).yamlText(resolvingPlaceholders: true) == yaml)
        #expect(try flat(text).jsonText(resolvingPlaceholders: true) == json)
    }

    @Test(arguments: [
        ("a=x\na[0]=y", "a: x\na[0]: y\n"), ("a.b=1\na[0]=y", "a:\n  b: '1'\na[0]: y\n"), ("l[0]=1\nl[0].a=2", "l:\n- a: '2'\n"),
        ("m.a=x\nm.a[0].b=y", "m:\n  a: x\n  a[0].b: y\n"),
    ])
    func `a key that is text here and a list there keeps both`(text: String, yaml: String) throws {
        #expect(try flat(text, "t.properties").yamlText(resolvingPlaceholders: true) == yaml)
    }

    @Test(arguments: ["a..b", ".a", "[0]", "c[0]d", "a.[0]", "b[0][x]", "a[-1]", "a[70000000]", "l[0][9999999].x"])
    func `a key that makes no tree is told by name`(key: String) throws {
        let flat = try flat("\(key)=1", "t.properties")
        #expect(throws: FlatRenderingError.invalidKey(key)) { try flat.yamlText(resolvingPlaceholders: true) }
        #expect(throws: FlatRenderingError.invalidKey(key)) { try flat.jsonText(resolvingPlaceholders: true) }
        #expect(try flat.propertiesText(resolvingPlaceholders: true) == "\(key): 1")
    }

    @Test func `a tree may be deep, but not beyond all measure`() throws {
        let deep = String(repeating: "a.", count: 250) + "b"
        let yaml = try flat("\(deep)=${x:1}", "t.properties").yamlText(resolvingPlaceholders: true)
        #expect(yaml.hasSuffix("\n\(String(repeating: "  ", count: 250))b: 1\n"))
        let deeper = String(repeating: "a.", count: 300) + "b"
        #expect(throws: FlatRenderingError.invalidKey(deeper)) {
            try flat("\(deeper)=1", "t.properties").yamlText(resolvingPlaceholders: true)
        }
    }

    @Test(arguments: [
        ("${num}", "80"), ("${quote}", "a\"b"), ("${colon}", "'a: b'"), ("${lines}", "|-\n  x\n  y"), ("${comment}", "'x #y'"),
        ("x${comment}", "'xx #y'"),
        ("${list}", "[1, 2]"), ("${open}", "'[1'"), ("${anchor}", "'&a b'"), ("${tag}", "'!!int 3'"), ("${empty}", ""),
        ("${dash}", "'- x'"),
        ("${apostrophe}", "it's"), ("'a: ${apostrophe}'", "'a: it''s'"), ("'a: ${num}'", "'a: 80'"), ("${ctl}", "!!binary |-\n  AQ=="),
        ("\"${lines}\\n${num}\"", "|-\n  x\n  y\n  80"), ("\"a\\n${num}\"", "|-\n  a\n  80"), ("${alias}", "'*a'"),
        ("${directive}", "'%x'"),
    ])
    func `pasted values stay one value`(text: String, yaml: String) throws {
        let values = """

            num: 80
            quote: 'a"b'
            colon: 'a: b'
            lines: "x\\ny"
            comment: 'x #y'
            list: '[1, 2]'
            open: '[1'
            anchor: '&a b'
            alias: '*a'
            tag: '!!int 3'
            empty: ''
            dash: '- x'
            apostrophe: it's
            directive: '%x'
            ctl: "\\x01"
            """
        let source = text.hasPrefix("'") || text.hasPrefix("\"") ? text : "'\(text)'"
        let document = try flat("v: \(source)\(values)").yamlText(resolvingPlaceholders: true)
        #expect(document.hasPrefix("v: \(yaml)\nnum: 80\n"), "\(document)")
        #expect(throws: Never.self) { try PropertyFile.parse(Array(document.utf8), path: "t.yml") }
        let json = try flat("v: \(source)\(values)").jsonText(resolvingPlaceholders: true)
        #expect(throws: Never.self) { try JSONReader.read(Array(json.utf8)) }
    }

    @Test func `keys are resolved too, but never to the name of another key`() throws {
        let flat = try flat("a: x\nx: 1\n'${a}': 2\n'${b:y}': 3\n'${n:}': 4\nn:\n- '${a}': 5\n")
        #expect(
            try flat.yamlText(resolvingPlaceholders: true)
                == "a: x\nx: 1\n${a}: 2\ny: 3\nn:\n- x: 5\n? ''\n: 4\n".replacing(
                    "n:\n- x: 5\n? ''\n: 4\n", with: "? ''\n: 4\nn:\n- x: 5\n"))
        #expect(try flat.jsonText(resolvingPlaceholders: true) == "{\"a\":\"x\",\"x\":1,\"${a}\":2,\"y\":3,\"\":4,\"n\":[{\"x\":5}]}")
    }

    @Test func `a circle is told as the original tells it`() throws {
        let flat = try flat("a: ${b}\nb: ${a}\n")
        let error = #expect(throws: FlatRenderingError.self) { try flat.yamlText(resolvingPlaceholders: true) }
        guard case .placeholders(let reason)? = error else { return }
        #expect(reason.answer == "Circular placeholder reference 'b' in value \"${b}\" <-- \"${a}\" <-- \"a: ${b}\nb: ${a}\n\"")
        #expect(error?.description == "Circular placeholder reference 'b'")
    }

    /// What is written reads back as what it was. (Not with NEL and the separators of Unicode: in a literal the original writes them as they are,
    /// and every reader of YAML 1.1 takes NEL for a line feed.)
    @Test func `any text survives YAML and JSON`() throws {
        let alphabet = Array("ab01 :#-?'\"\\|>{}[]&*!%@`,.~=<\n\tü日😀_yYnNeE+")
        for _ in 0..<1000 {
            let text = String((0..<Int.random(in: 0..<120)).map { _ in alphabet.randomElement() ?? "a" })
            // The original writes a lone = without quotes, and so do we; no reader of YAML 1.1 takes it back.
            guard text != "=" else { continue }
            let key = "k" + String((0..<Int.random(in: 0..<8)).map { _ in "ab :#-'\"\n".randomElement() ?? "a" })
            let environment = ConfigEnvironment(
                name: "t", profiles: [],
                propertySources: [
                    PropertySource(
                        name: "s", properties: [Property(key: key, value: .string(text)), Property(key: "l[0]", value: .string(text))])
                ])
            let yaml = try FlatEnvironment(environment).yamlText(resolvingPlaceholders: false)
            let documents = try PropertyFile.parse(Array(yaml.utf8), path: "t.yml")
            #expect(documents.first?[key]?.text == text, "\(yaml.debugDescription)")
            #expect(documents.first?["l[0]"]?.text == text, "\(yaml.debugDescription)")
            let json = try JSONReader.read(Array(FlatEnvironment(environment).jsonText(resolvingPlaceholders: false).utf8))
            #expect(json[key]?.string == text)
        }
    }
}
