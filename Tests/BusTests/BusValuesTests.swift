import Bus
import JSON
import Streams
import Telemetry
import Testing

@Suite struct BusValuesTests {
    @Test func `events are written with the members and in the order of the original`() {
        func text(_ kind: BusEvent.Kind) -> String {
            String(
                decoding: BusEvent(kind, origin: "app:8080:abc", destination: "**", id: "i", timestamp: 1_700_000_000_000).encoded,
                as: UTF8.self)
        }
        let common = "\"timestamp\":1700000000000,\"originService\":\"app:8080:abc\",\"destinationService\":\"**\",\"id\":\"i\""
        #expect(text(.refresh) == "{\"type\":\"RefreshRemoteApplicationEvent\",\(common)}")
        #expect(
            text(
                .environmentChange([
                    EnvironmentValue(name: "k1", value: "Ü \"q\" \\ 😀\u{1F}\u{7F}"), EnvironmentValue(name: "k2", value: ""),
                ]))
                == "{\"type\":\"EnvironmentChangeRemoteApplicationEvent\",\(common),"
                + "\"values\":{\"k1\":\"Ü \\\"q\\\" \\\\ \\uD83D\\uDE00\\u001F\u{7F}\",\"k2\":\"\"}}")
        #expect(
            text(.acknowledgement(Acknowledgement(id: "x", destination: "a:**", eventClass: "p.C")))
                == "{\"type\":\"AckRemoteApplicationEvent\",\(common),\"ackId\":\"x\",\"ackDestinationService\":\"a:**\",\"event\":\"p.C\"}"
        )
        #expect(
            text(.custom(type: "Outer$Mine", members: [JSONMember("b", .number("1.50")), JSONMember("a", .null)]))
                == "{\"type\":\"Outer$Mine\",\(common),\"b\":1.50,\"a\":null}")
    }

    @Test(arguments: [
        "{\"type\":\"AckRemoteApplicationEvent\",\"timestamp\":\"2024-01-02T03:04:05.678+01:00\",\"origin_service\":\"a:1:b\",\"destination_service\":\"**\",\"id\":\"i\",\"ack_id\":\"x\",\"ack_destination_service\":\"y\",\"event\":\"c\"}",
        "{\"ackId\":\"x\",\"ackDestinationService\":\"y\",\"event\":\"c\",\"id\":\"i\",\"destinationService\":\"**\",\"originService\":\"a:1:b\",\"timestamp\":1704161045678,\"extra\":{\"a\":[1]},\"type\":\"AckRemoteApplicationEvent\"}",
        "\u{FEFF} {\"Type\":1,\"type\":\"AckRemoteApplicationEvent\",\"Timestamp\":\"1704161045678\",\"OriginService\":\"a:1:b\",\"destination-service\":\"**\",\"id\":\"i\",\"ackId\":\"x\",\"ackDestinationService\":\"y\",\"event\":\"c\"} trailing",
    ])
    func `one event is read in all the forms that applications give it`(body: String) throws {
        var event = try BusEvent(decoding: Array(body.utf8))
        #expect(event.encoded == Array(body.utf8))
        event.received = nil
        #expect(
            event
                == BusEvent(
                    .acknowledgement(Acknowledgement(id: "x", destination: "y", eventClass: "c")), origin: "a:1:b", destination: "**",
                    id: "i",
                    timestamp: 1_704_161_045_678))
    }

    @Test func `an unknown event keeps its bytes and its common members`() throws {
        let body = Array(
            "{\"b\": 2,\"type\":\"NobodyKnows\", \"originService\":\"x:1:y\",\"destinationService\":null,\"id\":\"i\",\"a\":\"\\u00fc\"}"
                .utf8)
        let event = try BusEvent(decoding: body)
        #expect(event.encoded == body)
        #expect(event.kind == .custom(type: "NobodyKnows", members: [JSONMember("b", .number("2")), JSONMember("a", .string("ü"))]))
        #expect(event.origin == "x:1:y")
        #expect(event.destination == nil)
    }

    @Test(
        arguments: [
            ("2024-01-01T00:00:00Z", 1_704_067_200_000), ("1969-12-31T23:59:59.999Z", -1), ("2024-02-29", 1_709_164_800_000),
            ("2024-01-01T00:00", 1_704_067_200_000), ("2024-01-01T02:00:00.123456789+02:00", 1_704_067_200_123),
            ("2024-01-01T00:00:00.5-0130", 1_704_072_600_500), ("2024-13-01", nil), ("2024-01-01T25:00:00Z", nil), ("soon", nil), ("", nil),
            ("2024-01-01T00:00:00.Z", nil), ("2024-01-01T00:00:00Zulu", nil), ("99999999999999999999", nil),
        ] as [(String, Int64?)])
    func `ISO times are read to the millisecond`(text: String, milliseconds: Int64?) { #expect(ISOTime.milliseconds(text) == milliseconds) }

    @Test func `bus ids follow Spring's rules, and what peers could not address is refused`() throws {
        #expect(try BusID(application: "orders", index: "8080", instance: "abc").text == "orders:8080:abc")
        #expect(try BusID(application: "orders", profiles: ["dev", "eu"], index: "0", instance: "abc").text == "orders:dev,eu:0:abc")
        #expect(try BusID(application: "", index: "1", instance: "x").text == "application:1:x")
        #expect(try BusID(application: "a:b", index: "1", instance: "x").text == "a-b:1:x")
        #expect(try BusID("orders:dev,eu:0:abc").profiles == ["dev", "eu"])
        #expect(try BusID("orders:0:abc").profiles == [])
        #expect(BusID.randomInstance().utf8.count == 32)
        for bad in ["", "*:1:x", "a?:1:x", "{a}:1:x", ":1:x", "a:1:", ":", "a\n:1:x"] {
            #expect(throws: BinderError.self, "\(bad)") { try BusID(bad) }
        }
    }

    @Test func `the details of a refresh travel in headers, the keys cut at a bound with their count`() {
        var details = RefreshDetails(
            version: "abc", hash: "h", label: "main", keys: ["pool.size", "a,b c%", "größe"],
            commit: .init(id: "abc", author: "Ada", time: 5))
        #expect(RefreshDetails(headers: details.headers) == details)
        details.keys = (0..<10_000).map { "some.key.\($0)" }
        details.keyCount = 10_000
        let read = RefreshDetails(headers: details.headers)
        #expect(read.keyCount == 10_000)
        #expect(read.keys.count > 100)
        #expect(read.keys.elementsEqual(details.keys.prefix(read.keys.count)))
        #expect((details.headers[BusHeader.keys]?.text?.utf8.count ?? .max) <= RefreshDetails.keysLimit)
        #expect(RefreshDetails().headers.isEmpty)
    }

    @Test func `a receipt survives its headers, also where they arrive as text or bytes`() throws {
        let receipt = Receipt(
            instance: "a:dev:1:x", application: "a", profiles: ["dev", "eu"],
            running: RunningConfiguration(label: "l", version: "v", hash: "h"),
            outcome: .failed, time: .init(milliseconds: 5), error: "two\nlines")
        var expected = receipt
        expected.error = "two lines"
        #expect(Receipt(headers: receipt.headers, origin: "") == expected)
        #expect(Receipt(headers: receipt.headers.mapValues { .string($0.text ?? "") }, origin: "") == expected)
        #expect(
            Receipt(headers: receipt.headers.mapValues { $0.integer == nil ? .bytes(Array(($0.text ?? "").utf8)) : $0 }, origin: "")
                == expected)
        #expect(Receipt(headers: [:], origin: "x") == nil)
        var long = receipt
        long.error = String(repeating: "x", count: 100_000)
        #expect((Receipt(headers: long.headers, origin: "")?.error?.utf8.count ?? .max) <= Receipt.errorLimit)
    }

    @Test func `the window forgets the oldest id first and never grows`() {
        var window = DedupeWindow(capacity: 3)
        func insert(_ id: String) -> Bool { window.insert(id) }
        #expect(["a", "b", "c", "a"].map(insert) == [true, true, true, false])
        #expect(insert("d"))
        #expect(insert("a"))
        #expect(!insert("c") && !insert("d"))
        window.remove("c")
        #expect(insert("c"))
        #expect(["e", "f"].map(insert) == [true, true])
        #expect(window.contains("c") && !window.contains("a"))
        let long = String(repeating: "x", count: 100_000)
        #expect(insert(long) && !insert(long))
        #expect(window.count == 3)
    }
}
