import Streams
import TestSupport
import Testing

@testable import KafkaBinder

@Suite struct KafkaHeadersTests {
    private func read(_ headers: RecordHeaders) -> Envelope {
        var reader = KafkaHeaderReader()
        var envelope = Envelope(id: "", payload: [])
        reader.read(headers, into: &envelope)
        return envelope
    }

    @Test func `an envelope with a content type has Spring's two headers and its id`() {
        let headers = KafkaHeaders.write(Envelope(id: "i", payload: [], contentType: "application/json"))
        #expect(
            headers.list.map { "\($0.name)=\(String(decoding: $0.value ?? [], as: UTF8.self))" } == [
                "contentType=application/json", "carillon-id=i", "spring_json_header_types={\"contentType\":\"java.lang.String\"}",
            ])
        #expect(KafkaHeaders.write(Envelope(id: "i", payload: [])).list.map(\.name) == ["carillon-id"])
    }

    @Test func `every kind of value comes back as it was`() {
        let values: [String: HeaderValue] = [
            "s": "text", "e": "", "q": "\"in quotes\"", "half": "\"open", "u": "grüße 🔔", "i": 42, "l": .integer(1 << 40), "n": -7,
            "min": .integer(.min), "b": true, "f": false, "d": .double(0.5), "big": .double(1e300), "inf": .double(.infinity),
            "ninf": .double(-.infinity), "bytes": .bytes([0, 255, 1]), "text bytes": .bytes(Array("abc".utf8)), "none": .bytes([]),
            "t": .timestamp(1_700_000_000_123), "a": .array(["x", 1, .bytes([1])]), "m": .table(["k": "v", "in": .table(["z": .null])]),
            "null": .null, "traceparent": "00-1-2-01", "b3": "1-2-1",
        ]
        let envelope = Envelope(id: "id", payload: [1], contentType: "text/plain;charset=UTF-8", headers: values)
        let back = read(KafkaHeaders.write(envelope))
        #expect(back.headers == values)
        #expect(back.contentType == envelope.contentType && back.id == "id")
        let bare = Envelope(id: "id", payload: [1], headers: ["bytes": .bytes(Array("abc".utf8))])
        #expect(read(KafkaHeaders.write(bare)).headers == bare.headers)
    }

    @Test func `internals of peers are not sent`() {
        let envelope = Envelope(
            payload: [],
            headers: [
                "id": "x", "timestamp": 1, "deliveryAttempt": 2, "kafka_offset": 3, "contentType": "x", "spring_json_header_types": "x",
                "carillon-id": "x", "kept": "y",
            ])
        #expect(KafkaHeaders.write(envelope).list.map(\.name) == ["kept", "carillon-id", "spring_json_header_types"])
    }

    @Test(
        arguments: [
            ("application/json", nil), ("\"application/json\"", nil), ("application/json", "java.lang.String"),
            ("\"application/json\"", "java.lang.String"),
            ("{\"type\":\"application\",\"subtype\":\"json\",\"parameters\":{}}", "org.springframework.util.MimeType"),
            ("application/json", "org.springframework.util.MimeType"),
        ] as [(String, String?)])
    func `content types are read in all forms`(_ text: String, _ type: String?) {
        var list: [(name: String, value: [UInt8]?)] = [("contentType", Array(text.utf8))]
        if let type { list.append(("spring_json_header_types", Array("{\"contentType\":\"\(type)\"}".utf8))) }
        #expect(read(RecordHeaders(list)).contentType == "application/json")
    }

    @Test func `a mime type keeps its parameters`() {
        let text = "{\"type\":\"text\",\"subtype\":\"plain\",\"parameters\":{\"charset\":\"UTF-8\"}}"
        #expect(read(RecordHeaders([("contentType", Array(text.utf8))])).contentType == "text/plain;charset=UTF-8")
    }

    @Test func `without Spring's list a header is text where it can be`() {
        let read = read(RecordHeaders([("a", Array("x".utf8)), ("b", [255]), ("c", nil)]))
        #expect(read.headers == ["a": "x", "b": .bytes([255]), "c": .null])
        let listed = self.read(RecordHeaders([("a", Array("x".utf8)), ("spring_json_header_types", Array("{}".utf8))]))
        #expect(listed.headers == ["a": .bytes(Array("x".utf8))])
    }

    @Test func `a date is read as a number and as text`() {
        func date(_ text: String) -> HeaderValue? { KafkaHeaderReader.decode(Array(text.utf8), class: "java.util.Date") }
        #expect(date("1700000000123") == .timestamp(1_700_000_000_123))
        #expect(date("\"2023-11-14T22:13:20.123Z\"") == .timestamp(1_700_000_000_123))
        #expect(date("\"2023-11-14T22:13:20Z\"") == .timestamp(1_700_000_000_000))
        #expect(date("\"2024-02-29T00:00:00.5Z\"") == .timestamp(1_709_164_800_500))
        #expect(date("\"1969-12-31T23:59:59.999Z\"") == .timestamp(-1))
        for wrong in ["\"\"", "\"2023\"", "\"2023-13-14T22:13:20.123Z\"", "\"2023-11-14T22:13:20.Z\"", "true"] {
            #expect(date(wrong) == nil)
        }
    }

    @Test func `embedded headers are read, and what only looks like them is left alone`() {
        let value: [UInt8] = [0xFF, 1, 1] + Array("x".utf8) + [0, 0, 0, 3] + Array("\"y\"".utf8) + Array("body".utf8)
        let read = EmbeddedHeaders.read(value)
        #expect(read?.headers.map(\.name) == ["x"] && read?.payload == Array("body".utf8))
        for length in 0..<(value.count - 4) { #expect(EmbeddedHeaders.read(Array(value.prefix(length))) == nil) }
        #expect(EmbeddedHeaders.read([0xFF, 0, 1, 2, 3]) == nil)
        #expect(EmbeddedHeaders.read([0xFF, 1, 1, 65, 255, 255, 255, 255]) == nil)
    }

    @Test func `no bytes that a peer sends trap the reader`() {
        var generator = SplitMix(state: 3)
        let classes = [
            "java.lang.String", "java.lang.Integer", "java.lang.Double", "java.util.Date", "java.util.ArrayList", "[B", "x.Y",
            "org.springframework.util.MimeType",
        ]
        for _ in 0..<3000 {
            func random() -> [UInt8] {
                (0..<Int.random(in: 0...24, using: &generator)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            }
            let type = classes.randomElement(using: &generator) ?? ""
            let types = Bool.random(using: &generator) ? random() : Array("{\"h\":\"\(type)\",\"contentType\":\"\(type)\"}".utf8)
            let record = KafkaRecord(
                topic: "t", key: random(), value: [0xFF] + random(),
                headers: RecordHeaders([("h", random()), ("contentType", random()), ("spring_json_header_types", types)]))
            var reader = KafkaHeaderReader()
            _ = record.envelope(&reader)
            var bare = record
            bare.headers = RecordHeaders()
            _ = bare.envelope(&reader)
        }
    }
}
