import ConfigModel
import Testing

@Suite struct JSONReaderTests {
    @Test(arguments: [
        ("null", JSONValue.null), (" true ", .boolean(true)), ("-0.5e+3", .number("-0.5e+3")),
        ("[1, \"a\"]", .array([.number("1"), .string("a")])),
        ("{\"b\":1,\"a\":{}}", .object([.init(name: "b", value: .number("1")), .init(name: "a", value: .object([]))])),
        (#""\u00e9\ud83d\ude00\n\/""#, .string("é😀\n/")), (#""\ud83d""#, .string("\u{FFFD}")), (#""\ud83dx""#, .string("\u{FFFD}x")),
        ("[]", .array([])),
    ])
    func `JSON is read as it was written`(text: String, value: JSONValue) throws {
        #expect(try JSONReader.read(Array(text.utf8)) == value)
    }

    @Test(arguments: [
        "", "nul", "01", "1.", "-", "+1", ".5", "1e", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "\"a", "\"\\x\"", "\"\\u12\"",
        "\"\\u+123\"",
        "\"\n\"", "1 1", "'a'", "NaN", String(repeating: "[", count: 100_000),
    ])
    func `what is not JSON is refused`(text: String) {
        #expect(throws: JSONReader.Malformed.self) { try JSONReader.read(Array(text.utf8)) }
    }

    @Test func `bytes that are not UTF-8 are refused`() {
        #expect(throws: JSONReader.Malformed.self) { try JSONReader.read([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONReader.Malformed.self) { try JSONReader.read([0x22, 0xC3, 0x5C, 0x6E, 0x22]) }
    }
}
