import Streams
import Testing

@Suite struct EnvelopeWireTests {
    @Test(arguments: [
        Envelope(id: "1", payload: []),
        Envelope(
            id: "2", payload: Array("grüße \"quoted\" \\ \n \u{1} 🔔".utf8), contentType: "text/plain", key: "k",
            timestamp: 1_700_000_000_000),
        Envelope(id: "3", payload: Array(0...255)),
        Envelope(id: "4", payload: [0xFF]), Envelope(id: "5", payload: [0xFF, 0xFE]), Envelope(id: "6", payload: [0xFF, 0xFE, 0xFD]),
        Envelope(
            id: "7", payload: [1],
            headers: [
                "s": "text", "empty": "", "i": .integer(.max), "n": .integer(.min), "d": .double(1), "f": .double(-2.5e-300), "b": true,
                "z": .null,
                "bytes": .bytes([0, 255, 7]), "time": .timestamp(5), "list": .array([1, "two", .array([])]),
                "table": .table(["x": .bytes([])]),
            ]),
    ]) func `an envelope read back from its JSON is the same`(_ envelope: Envelope) throws {
        let bytes = WireValue.object(envelope.wireMembers).bytes
        #expect(try Envelope(wire: WireValue(bytes)) == envelope)
    }

    @Test(arguments: [
        "{}", #"{"payload":"x","encoding":"utf-8"}"#, #"{"payload":"AAE=","encoding":"base64"}"#, #" { "headers" : { } , "key" : null } "#,
    ]) func `an envelope needs next to nothing, and gets an id`(_ text: String) throws {
        let envelope = try Envelope(wire: WireValue(Array(text.utf8)))
        #expect(!envelope.id.isEmpty)
    }

    @Test(arguments: [
        "[]", #"{"payload":1}"#, #"{"payload":"?","encoding":"base64"}"#, #"{"payload":"AAE","encoding":"base64"}"#,
        #"{"payload":"A===","encoding":"base64"}"#, #"{"encoding":"rot13"}"#, #"{"headers":[]}"#, #"{"id":""}"#, #"{"timestamp":"now"}"#,
        #"{"headers":{"a":{"$bytes":"!"}}}"#,
    ]) func `what is no envelope is refused as invalid`(_ text: String) throws {
        let value = try WireValue(Array(text.utf8))
        #expect { _ = try Envelope(wire: value) } throws: { ($0 as? BinderError)?.code == .invalid }
    }

    @Test(arguments: [
        "", " ", "{", "[1,", #"{"a"}"#, #"{"a":1,}"#, "[1]x", "01x", "+1", ".5", "nul", #""\x""#, #""\ud800""#, #""\ud800\u0041""#,
        #""\u12"#, "\"\u{1}\"",
        "1e999", "--1", String(repeating: "[", count: 100_000), #"{1:2}"#,
    ]) func `text that is no JSON is refused`(_ text: String) {
        #expect(throws: WireValue.Malformed.self) { _ = try WireValue(Array(text.utf8)) }
    }

    @Test func `random bytes never trap`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("{}[]\",:\\u0e-+.1tfnul \u{FF}".utf8)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0..<24, using: &generator)).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            guard let value = try? WireValue(bytes) else { continue }
            #expect((try? WireValue(value.bytes)) == value)
            _ = try? Envelope(wire: value)
        }
    }
}
