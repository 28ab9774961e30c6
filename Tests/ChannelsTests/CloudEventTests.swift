import Channels
import HTTP
import Streams
import TestSupport
import Testing

@Suite struct CloudEventTests {
    private func event(_ json: String) throws -> CloudEvent { try CloudEvent(structured: Array(json.utf8)) }
    private func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    @Test func `an event in the JSON format is read whole, its data byte for byte`() throws {
        let event = try event(
            """
            { "specversion" : "1.0", "type" : "order.placed", "source" : "/shop", "id" : "A-1", "time" : "2026-01-31T12:00:00.5+01:00",
              "subject": "7", "flag": true, "count": 5, "none": null, "dataschema": "urn:x",
              "d\\u0061ta" : { "price": 1.10, "big": 12345678901234567890, "text": "a , \\"b\\" : [" } , "traceparent": "00-1-2-01" }
            """)
        #expect(text(event.data) == #"{ "price": 1.10, "big": 12345678901234567890, "text": "a , \"b\" : [" }"#)
        #expect(event["datacontenttype"] == "application/json" && event["none"] == nil && event.attributes["flag"] == .boolean(true))
        let envelope = event.envelope
        #expect(envelope.id == "A-1" && envelope.contentType == "application/json" && envelope.timestamp == 1_769_857_200_500)
        #expect(
            envelope.headers == [
                "ce-specversion": "1.0", "ce-type": "order.placed", "ce-source": "/shop", "ce-subject": "7", "ce-flag": true, "ce-count": 5,
                "ce-dataschema": "urn:x", "ce-time": "2026-01-31T12:00:00.5+01:00", "traceparent": "00-1-2-01",
            ])
        #expect(CloudEvent(envelope, from: try Destination("d")) == event)
    }

    @Test(
        arguments: [
            (#"{"specversion":"1.0","type":"t","source":"s","id":"1","datacontenttype":"text/plain","data":"é\n"}"#, "é\n"),
            (
                #"{"specversion":"1.0","type":"t","source":"s","id":"1","datacontenttype":"application/x+json","data":"quoted"}"#,
                "\"quoted\""
            ),
            (#"{"specversion":"1.0","type":"t","source":"s","id":"1","data_base64":"AP8="}"#, nil),
            (#"{"specversion":"1.0","type":"t","source":"s","id":"1"}"#, ""),
            (#"{"specversion":"1.0","type":"t","source":"s","id":"1","data":[]}"#, "[]"),
        ] as [(String, String?)])
    func `data is what its type says, and comes out as it went in`(_ json: String, _ data: String?) throws {
        let event = try event(json)
        #expect(event.data ?? [] == data.map { Array($0.utf8) } ?? [0, 0xFF])
        #expect(try CloudEvent(structured: event.structured()) == event)
        let (headers, body) = event.binary
        #expect(try CloudEvent(binary: headers, body: body) == event)
    }

    @Test(arguments: [
        (#"[]"#, "id"), (#"{"type":"t","source":"s","id":"1"}"#, "specversion"),
        (#"{"specversion":"0.3","type":"t","source":"s","id":"1"}"#, "specversion"),
        (#"{"specversion":"1.0","type":"t","source":"s"}"#, "id"), (#"{"specversion":"1.0","type":"t","source":"s","id":null}"#, "id"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":""}"#, "id"), (#"{"specversion":"1.0","type":"t","source":"s","id":1}"#, "id"),
        (#"{"specversion":"1.0","type":"","source":"s","id":"1"}"#, "type"),
        (#"{"specversion":"1.0","type":"t","source":"a b","id":"1"}"#, "source"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","time":"yesterday"}"#, "time"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","Upper":"x"}"#, "Upper"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","ext":{}}"#, "ext"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","ext":1.5}"#, "ext"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","ext":3000000000}"#, "ext"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","id":"2"}"#, "id"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","subject":"a\u0007"}"#, "subject"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","datacontenttype":"text/plain","data":1}"#, "data"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","datacontenttype":"json","data":1}"#, "datacontenttype"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","data":1,"data_base64":"AA=="}"#, "data"),
        (#"{"specversion":"1.0","type":"t","source":"s","id":"1","data_base64":"?"}"#, "data_base64"), (#"{"specversion":"1.0""#, "data"),
    ])
    func `an event that is none is refused by the attribute that is wrong`(_ json: String, _ attribute: String) throws {
        #expect { try event(json) } throws: { error in
            guard let error = error as? CloudEventError else { return false }
            return error.attribute == attribute && error.description.contains("`\(attribute)`")
        }
    }

    @Test func `a batch names the event that is wrong`() throws {
        let good = #"{"specversion":"1.0","type":"t","source":"s","id":"1","data":{"a":[1,2]}}"#
        let events = try CloudEvent.batch(Array("[ \(good) , \(good) ]".utf8))
        #expect(events.map { text($0.data) } == [#"{"a":[1,2]}"#, #"{"a":[1,2]}"#])
        #expect(try CloudEvent.batch(Array(" [ ] ".utf8)) == [])
        #expect { try CloudEvent.batch(Array("[\(good),{}]".utf8)) } throws: { "\($0)".contains("`specversion` of event 2 of the batch") }
        #expect { try CloudEvent.batch(Array(good.utf8)) } throws: { $0 is CloudEventError }
    }

    @Test func `fields are percent-decoded as the HTTP binding says, and encoded the same way`() throws {
        let headers: HTTPHeaders = [
            "CE-SpecVersion": "1.0", "ce-id": "1", "ce-source": "urn:a", "ce-type": "t",
            "ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80 100%",
            "ce-quoted": #""a \"b\" %22c%22""#, "Content-Type": "text/plain", "X-Other": "no",
        ]
        let event = try CloudEvent(binary: headers, body: [1])
        #expect(event["subject"] == "Euro € 😀 100%" && event["quoted"] == #"a "b" "c""# && event["other"] == nil && event.data == [1])
        let (out, body) = event.binary
        #expect(out["ce-subject"] == "Euro%20%E2%82%AC%20%F0%9F%98%80%20100%25" && out["ce-quoted"] == "a%20%22b%22%20%22c%22")
        #expect(out["Content-Type"] == "text/plain" && out["ce-datacontenttype"] == nil && body == [1])
        #expect(try CloudEvent(binary: out, body: body) == event)
        for (name, value) in [("ce-subject", "%FF"), ("ce-a_b", "x"), ("ce-type", ""), ("ce-datacontenttype", "a/b"), ("ce-time", "%00")] {
            var wrong = headers
            wrong[name] = value
            #expect { try CloudEvent(binary: wrong, body: []) } throws: {
                "\($0)".contains("`\(name.dropFirst(3))`")
            }
        }
        var twice = headers
        twice.add("ce-id", "2")
        #expect { try CloudEvent(binary: twice, body: []) } throws: { "\($0)".contains("`id` is given twice") }
    }

    @Test func `what did not come as a CloudEvent becomes one, and names of headers stay among the letters allowed`() throws {
        let headers: [String: HeaderValue] = [
            "X-Tenant": "t", "type": "no", "ce_subject": "s", "bytes": .bytes([1]), "n": 1_099_511_627_776,
        ]
        let envelope = Envelope(
            id: "e", payload: Array("x".utf8), contentType: nil, headers: headers, key: "k", timestamp: 0)
        let event = CloudEvent(envelope, from: try Destination("a:b"))
        #expect(
            event.attributes.mapValues(\.text) == [
                "id": "e", "source": "/channels/a%3Ab", "type": "carillon.event", "subject": "s", "xtenant": "t", "n": "1099511627776",
                "partitionkey": "k", "time": "1970-01-01T00:00:00.000Z",
            ])
        #expect(text(event.structured())?.hasSuffix(#","data_base64":"eA=="}"#) == true)
    }

    @Test func `JSON in another encoding is refused as an event, and carried as bytes as data`() throws {
        let json = #"{"specversion":"1.0","type":"t","source":"s","id":"1","data":{}}"#
        for bytes in [
            json.utf16.flatMap { [UInt8($0), 0] }, json.utf16.flatMap { [0, UInt8($0)] }, [0xEF, 0xBB, 0xBF] + Array(json.utf8),
        ] {
            #expect { try CloudEvent(structured: bytes) } throws: { "\($0)".contains("UTF-8") }
            let envelope = Envelope(id: "e", payload: bytes, contentType: "application/json")
            let event = CloudEvent(envelope, from: try Destination("d"))
            #expect(text(event.structured())?.contains(#","data_base64":""#) == true)
            #expect(try CloudEvent(structured: event.structured()).data == bytes)
        }
    }

    @Test func `no bytes trap the reader`() throws {
        var random = SplitMix(state: 7)
        let good = Array(#" [{"specversion":"1.0","type":"t","source":"s","id":"1","data":{"a":[1,"x\\"]}}]"#.utf8)
        for _ in 0..<5000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                if Bool.random(using: &random) { bytes[index] = UInt8.random(in: 0...255, using: &random) } else { bytes.remove(at: index) }
            }
            _ = try? CloudEvent.batch(bytes)
            _ = try? CloudEvent(structured: bytes)
        }
    }
}
