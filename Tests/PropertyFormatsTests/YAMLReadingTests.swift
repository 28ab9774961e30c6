import ConfigModel
import PropertyFormats
import Testing

@Suite struct YAMLReadingTests {
    @Test(arguments: [
        ("yes", "true"), ("No", "false"), ("ON", "true"), ("off", "false"), ("tRUE", "\"tRUE\""), ("y", "\"y\""), ("n", "\"n\""),
        ("'yes'", "\"yes\""), ("!!str yes", "\"yes\""), ("!!bool \"no\"", "false"), ("0123", "83"), ("08", "\"08\""), ("0o17", "\"0o17\""),
        ("0x1F", "31"), ("0xFFFFFFFFFFFFFFFFFFFF", "1208925819614629174706175"), ("0b101", "5"), ("-0b11", "-3"), ("1_000", "1000"),
        ("1,000", "\"1,000\""), ("12:30:45", "45045"), ("09:30", "\"09:30\""), ("190:20", "11420"), ("60:60", "\"60:60\""), ("+12", "12"),
        ("-0", "0"), ("0x", "\"0x\""), ("0_8", "\"0_8\""), ("007", "7"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1e3", "1000.0"), ("1.e3", "1000.0"), (".5", "0.5"), ("-.5", "-0.5"), (".inf", "Infinity"), ("-.Inf", "-Infinity"),
        (".nan", "NaN"), ("-.nan", "\"-.nan\""), ("1_000.5", "1000.5"), ("12:30.5", "750.5"), ("1e400", "Infinity"), ("1.", "1.0"),
        ("1.0e-5", "1.0E-5"), ("100000000.0", "1.0E8"), ("1.7976931348623157e308", "1.7976931348623157E308"),
        ("685.230_15e+03", "685230.15"),
        ("2024-01-31", "\"2024-01-31\""), ("!!timestamp 2024-01-31", "!2024-01-31T00:00:00.000+00:00"),
        ("!!timestamp 2024-01-31 10:20:30.5 +02:00", "!2024-01-31T08:20:30.500+00:00"), ("!!int '3'", "3"), ("!!float 3", "3.0"),
        ("!!binary aGVsbG8=", "!aGVsbG8="), ("~", "\"\""), ("null", "\"\""), ("''", "\"\""), ("!!null x", "\"\""), ("<<", "\"<<\""),
        ("it is 5", "\"it is 5\""), ("1.2.3", "\"1.2.3\""), ("1e", "\"1e\""), ("--1", "\"--1\""), ("+", "\"+\""),
        (".", "\".\""), ("0.001", "0.001"), ("0.00099", "9.9E-4"), ("9999999.0", "9999999.0"), ("-0.0", "-0.0"),
    ])
    func `a scalar has the type of YAML 1 1`(text: String, value: String) {
        #expect(read("a: \(text)", "t.yml") == "a=\(value)")
    }

    @Test(arguments: [
        ("a: {b: 1, c: [x, {d: 2}, [3]]}", "a.b=1 a.c[0]=\"x\" a.c[1].d=2 a.c[2][0]=3"),
        ("a.b: 1\na: {c: 2}", "a.b=1 a.c=2"),
        ("a.b: 1\na: {b: 2}", "a.b=2"),
        ("1: int\ntrue: bool\n2.5: f\n0x10: h", "[1]=\"int\" [true]=\"bool\" [2.5]=\"f\" [16]=\"h\""),
        ("m: {'[k/1]': s, 2: t}", "m[k/1]=\"s\" m[2]=\"t\""),
        ("? [c, d]\n: s\n? {c: d}\n: m", "[[c, d]]=\"s\" [{c=d}]=\"m\""),
        ("'': {a: 1}", "a=1"),
        ("a: []\nb: {}\nc: [{}, []]\nd:", "a=\"\" c[1]=\"\" d=\"\""),
        ("[a, {b: 1}]", "document[0]=\"a\" document[1].b=1"),
        ("just text", "document=\"just text\""),
        ("42", "document=42"),
        ("", ""), ("# comment", ""), ("''", ""), ("~", ""),
        ("---\n---\na: 1\n---\n# c\n---\na: 2\n---\n", "a=1 | a=2"),
        ("a: 1\n...\n---\nb: 2\n...\n", "a=1 | b=2"),
        ("{}\n---\n[]\n---\na: 1", " |  | a=1"),
        ("{\"a\": {\"b\": [1, null, true]}}", "a.b[0]=1 a.b[1]=\"\" a.b[2]=true"),
        ("e: !!set {x, y}\nf: !!omap [a: 1, b: 2]", "e[0]=\"x\" e[1]=\"y\" f.a=1 f.b=2"),
        ("a: |\n  x\n   y\nb: >-\n  x\n  y", "a=\"x\n y\n\" b=\"x y\""),
        ("a: 1\r\nb:\r\n  - x\r\n", "a=1 b[0]=\"x\""),
    ])
    func `a document is flattened as Spring Boot does`(text: String, properties: String) {
        #expect(read(text, "t.yml") == properties)
    }

    @Test(arguments: [
        ("b: &b {h: 1, p: 1}\nc: {<<: *b, p: 2}", "b.h=1 b.p=1 c.h=1 c.p=2"),
        ("m: {<<: [{a: 1, b: 1}, {b: 2, c: 2}], c: 3}", "m.a=1 m.b=1 m.c=3"),
        ("c: {p: 2, <<: {h: 1, p: 1}}", "c.p=2 c.h=1"),
        ("a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: *b}", "a.x=1 b.x=2 c.x=2"),
        ("l: &l [1, 2]\nm: *l", "l[0]=1 l[1]=2 m[0]=1 m[1]=2"),
        ("s: &s text\nt: *s", "s=\"text\" t=\"text\""),
        ("'<<': x", "<<=\"x\""),
    ])
    func `anchors and merge keys are followed`(text: String, properties: String) {
        #expect(read(text, "t.yml") == properties)
    }

    @Test func `each value knows where it stands`() {
        #expect(
            read("m:\n  n: 1\nl:\n- x\n- a: |\n    t\nf: {a: !!str 1, b: [ y ]}\ne: []\nn:\n", "t.yml", origins: true)
                == "m.n=1@2:6 l[0]=\"x\"@4:3 l[1].a=\"t\n\"@5:6 f.a=\"1\"@7:8 f.b[0]=\"y\"@7:22 e=\"\"@8:4 n=\"\"@9:3")
        #expect(read("b: &b {h: 1}\nc: {<<: *b}\n", "t.yml", origins: true) == "b.h=1@1:11 c.h=1@1:11")
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3", "!t.yml:3:1: a key that the same map already has"),
        ("a: [1, 2\nb: 3", "!t.yml:2:2: while parsing a flow sequence: did not find expected ',' or ']'"),
        ("a:\n\tb: 1", "!t.yml:2:1: while scanning for the next token: found character that cannot start any token"),
        ("a: *missing", "!t.yml:1:4: an alias names an anchor that is not defined before it"),
        ("a: &a [*a]", "!t.yml:1:8: an alias stands within the node that it names"),
        ("a: !custom x", "!t.yml:1:4: a tag that is not known: only the types of YAML itself may be asked for (!!str, !!int, …)"),
        ("null: x", "!t.yml:1:1: a key that is null"),
        ("a: =", "!t.yml:1:4: a plain = is reserved in YAML 1.1: quote it"),
        ("true: a\non: b", "!t.yml:2:1: a key that the same map already has"),
        ("a: {<<: 1}", "!t.yml:1:9: << can only merge maps"),
        ("a: !!int secret", "!t.yml:1:4: not an integer, or one with too many digits"),
        ("a: !!map [1]", "!t.yml:1:4: a list where its tag asks for something else"),
        ("a: \"\u{1}\"", "!t.yml:1:5: control characters are not allowed"),
    ])
    func `what cannot be read is told with its place and never its value`(text: String, message: String) {
        #expect(read(text, "t.yml") == message)
    }

    @Test func `Unicode with a byte order mark is read and Latin-1 is refused`() {
        #expect(read([0xEF, 0xBB, 0xBF] + Array("a: 1".utf8), "t.yml", origins: true) == "a=1@1:4")
        let wide = Array("a: ü".utf16)
        #expect(read([0xFF, 0xFE] + wide.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }, "t.yml") == "a=\"ü\"")
        #expect(read([0xFE, 0xFF] + wide.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }, "t.yml") == "a=\"ü\"")
        #expect(read(Array("a: gr".utf8) + [0xFC, 0xDF] + Array("e".utf8), "t.yml") == "!t.yml:1:6: invalid leading UTF-8 octet")
    }

    @Test func `a small file that stands for a huge tree is refused`() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 { text += "a\(level): &a\(level) [\((0..<10).map { _ in "*a\(level - 1)" }.joined(separator: ", "))]\n" }
        #expect(read(text, "t.yml").contains("stands for more than a file may"))

        var merging = "m0: &m0 {k: 1}\n"
        for level in 1...40 { merging += "m\(level): &m\(level) {<<: [*m\(level - 1), *m\(level - 1)], k\(level): 1}\n" }
        #expect(read(merging, "t.yml").hasPrefix("m0.k=1 "))
    }

    @Test func `aliases of aliases do not make a tree deeper than anybody means`() {
        let steps = 1...20_000
        let lists = "a0: &a0 x\n" + steps.map { "a\($0): &a\($0) [*a\($0 - 1)]\n" }.joined()
        #expect(read(lists, "t.yml").contains("nested deeper than 102 levels where its aliases are followed"))
        let keys = "? [&a0 x" + steps.map { ", &a\($0) [*a\($0 - 1)]" }.joined() + "]\n: v\n? *a20000\n: v\n"
        #expect(read(keys, "t.yml").contains("nested deeper than 102 levels where its aliases are followed"))
        let merges = "? [&a0 {k: v}" + steps.map { ", &a\($0) {<<: *a\($0 - 1)}" }.joined() + "]\n: v\nx: *a20000\n"
        #expect(read(merges, "t.yml").hasPrefix("!t.yml:1:"))
    }

    @Test func `depth and size have limits`() {
        let deep = "a: " + String(repeating: "[", count: 60) + String(repeating: "]", count: 60)
        #expect(read(deep, "t.yml") == "!t.yml:1:53: nested deeper than 50 levels")
        #expect(read("a: 1234", "t.yml", options: .init(maximumSize: 6)) == "!t.yml: the file has 7 bytes, more than the limit of 6")
    }
}
