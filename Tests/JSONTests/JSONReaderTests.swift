import JSON
import Testing

@Suite struct JSONReaderTests {
    @Test(arguments: [
        ("null", JSONValue.null), (" true ", .boolean(true)), ("-0.5e+3", .number("-0.5e+3")),
        ("[1, \"a\"]", .array([.number("1"), .string("a")])),
        ("{\"b\":1,\"a\":{}}", .object([JSONMember("b", .number("1")), JSONMember("a", .object([]))])),
        (#""\u00e9\ud83d\ude00\n\/""#, .string("é😀\n/")), (#""\ud83d""#, .string("\u{FFFD}")), (#""\ud83dx""#, .string("\u{FFFD}x")),
        (#""\ud83d\ud83d\ude00""#, .string("\u{FFFD}😀")), (#""\ud83d\u0041""#, .string("\u{FFFD}A")), ("\u{FEFF}[]", .array([])),
        ("[]", .array([])),
    ])
    func `JSON is read as it was written`(text: String, value: JSONValue) throws {
        #expect(try JSONReader.read(Array(text.utf8)) == value)
    }

    @Test(arguments: [
        (["a", "b"], "2"), (["a"], #"{ "x":[{"b":9}],"b" : 2 , "\u0063":"\u003c" }"#), (["a", "c"], #""\u003c""#), (["none"], nil),
        (["a", "b", "c"], nil), ([], #"{"z":1.50, "a":{ "x":[{"b":9}],"b" : 2 , "\u0063":"\u003c" },"b":3}"#), (["z"], "1.50"),
    ])
    func `a value is found where it stands`(path: [String], text: String?) throws {
        let bytes = Array(#" {"z":1.50, "a":{ "x":[{"b":9}],"b" : 2 , "\u0063":"\u003c" },"b":3} "#.utf8)
        #expect(try JSONReader.range(of: path, in: bytes).map { String(decoding: bytes[$0], as: UTF8.self) } == text)
        #expect(throws: JSONError.self) { try JSONReader.range(of: path, in: Array(bytes.dropLast(2))) }
        #expect(throws: JSONError.self) { try JSONReader.range(of: path, in: bytes + [0x7D]) }
    }

    @Test(arguments: [
        "", "nul", "01", "1.", "-", "+1", ".5", "1e", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "\"a", "\"\\x\"", "\"\\u12\"",
        "\"\\u+123\"",
        "\"\n\"", "1 1", "'a'", "NaN", String(repeating: "[", count: 100_000),
    ])
    func `what is not JSON is refused`(text: String) {
        #expect(throws: JSONError.self) { try JSONReader.read(Array(text.utf8)) }
    }

    @Test func `bytes that are not UTF-8 are refused`() {
        #expect(throws: JSONError.self) { try JSONReader.read([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSONReader.read([0x22, 0xC3, 0x5C, 0x6E, 0x22]) }
    }

    @Test(arguments: [(true, true), (true, false), (false, true), (false, false)])
    func `UTF-16 is read with and without its mark`(bigEndian: Bool, marked: Bool) throws {
        let text = (marked ? "\u{FEFF}" : "") + #"{"grüße":"🔔"}"#
        let bytes = text.utf16.flatMap { bigEndian ? [UInt8($0 >> 8), UInt8($0 & 255)] : [UInt8($0 & 255), UInt8($0 >> 8)] }
        #expect(try JSONReader.read(bytes) == .object([JSONMember("grüße", .string("🔔"))]))
        #expect(throws: JSONError.self) { try JSONReader.read(Array(bytes.dropLast())) }
    }

    @Test func `what is left to the caller: text after the document, and halves of characters`() throws {
        #expect(try JSONReader.read(Array("{} more".utf8), ignoringRest: true) == .object([]))
        #expect(throws: JSONError.self) { try JSONReader.read(Array("{} more".utf8)) }
        for text in [#""\ud83d""#, #""\ude00""#, #""\ud83d\u0041""#] {
            #expect(throws: JSONError.self) { try JSONReader.read(Array(text.utf8), refusingHalves: true) }
        }
        #expect(try JSONReader.read(Array(#""\ud83d\ude00""#.utf8), refusingHalves: true) == .string("😀"))
    }

    @Test(arguments: [("[1,]", 3), (#"{"a":tru}"#, 5), (#"["a\x"]"#, 5), ("[] x", 3)])
    func `an error tells the byte`(text: String, position: Int) {
        let error = #expect(throws: JSONError.self) { try JSONReader.read(Array(text.utf8)) }
        #expect(error?.position == position)
    }
}
