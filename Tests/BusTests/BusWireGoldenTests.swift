import Bus
import Foundation
import JSON
import KafkaBinder
import Streams
import TestSupport
import Testing

@Suite struct BusWireGoldenTests {
    /// Every message that a recording has seen on the wire.
    private func messages(_ recording: GoldenFolder.Recording) throws -> [JSONValue] {
        let document = try JSONReader.read(try recording.bytes())
        let steps = (document["steps"]?.items ?? []) + (document["variants"]?.items ?? [])
        return steps.filter { $0["quirk"]?.isTrue != true }.flatMap { ($0["wire"]?.items ?? []) + ($0["wireOfBusenv"]?.items ?? []) }
    }

    @Test func `every body that real applications sent is read, and written again in the canonical order`() throws {
        let recordings =
            try GoldenFolder.recordings("bus", prefix: "bus-http-and-wire") + GoldenFolder.recordings("bus", prefix: "bus-configuration")
        for recording in recordings {
            var report = GoldenReport("\(recording.name) bodies")
            for message in try messages(recording) {
                guard let body = (message["body"] ?? message["value"])?.string else { continue }
                var event = try BusEvent(decoding: Array(body.utf8))
                #expect(event.encoded == Array(body.utf8))
                event.received = nil
                let again = String(decoding: event.encoded, as: UTF8.self)
                let document = try JSONReader.read(Array(body.utf8))
                // The first generation with another order is Jackson 3, which sorts; snake case is an application's own setting.
                let canonical = document.members.dropFirst().first?.name == "timestamp" && document["originService"] != nil
                let ok: Bool
                if canonical {
                    ok = again == body
                } else {
                    var other = try BusEvent(decoding: Array(again.utf8))
                    other.received = nil
                    ok = other == event
                }
                report.played(ok)
                #expect(ok, "\(again)\n\(body)")
            }
            report.show()
        }
    }

    @Test func `bus ids come out as the original's for the same settings`() throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "bus-configuration") {
            var report = GoldenReport("\(recording.name) ids")
            let document = try JSONReader.read(try recording.bytes())
            for variant in document["variants"]?.items ?? [] where variant["quirk"]?.isTrue != true {
                guard let name = variant["name"]?.string, let recorded = variant["id"]?["busId"]?.string else { continue }
                var properties: [String: String] = [:]
                // Each application was started with its port on the command line, which the recording tells beside.
                properties["server.port"] = variant["id"]?["port"]?.scalarText
                for argument in variant["args"]?.items.compactMap(\.string) ?? [] {
                    let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                    if parts.count == 2 { properties[String(parts[0])] = String(parts[1]) }
                }
                guard properties["spring.application.name"]?.isEmpty != true else {
                    report.leave(name, "the original makes an id that nothing matches; ours is addressable")
                    #expect(try BusID(springProperties: { properties[$0] }).application == "application")
                    continue
                }
                let instance = recorded.split(separator: ":").last.map(String.init) ?? ""
                let ours = try BusID(springProperties: { properties[$0] }, instance: instance).text
                report.played(ours == recorded)
                #expect(ours == recorded, "\(name)")
            }
            report.show()
        }
    }

    @Test func `what the bus sends to Kafka has the headers of the original, byte by byte, and one of ours`() throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "bus-http-and-wire").filter({ $0.name.hasSuffix("kafka") }) {
            var report = GoldenReport("\(recording.name) headers")
            for message in try messages(recording) {
                guard let body = message["value"]?.string else { continue }
                let event = try BusEvent(decoding: Array(body.utf8))
                let recorded = KafkaRecordings.headers(message)
                // Read, and written again: what the original sent comes out as it came.
                var envelope = Envelope(id: event.id, payload: event.encoded)
                var reader = KafkaHeaderReader()
                reader.read(RecordHeaders(recorded), into: &envelope)
                let again = KafkaHeaders.write(envelope).list.filter { $0.name != KafkaHeaders.id }
                let same = again.map { $0.name } == recorded.map { $0.name } && again.map { $0.value } == recorded.map { $0.value }
                report.played(same)
                #expect(same, "\(again) \(recorded)")
                // An event of our own: as the newest generation sends it.
                let own = KafkaHeaders.write(BusMessage(event: event).envelope).list
                #expect(own.map { $0.name } == ["contentType", "carillon-id", "spring_json_header_types"])
                #expect(own[0].value == Array("application/json".utf8))
                #expect(own[2].value == Array(#"{"contentType":"java.lang.String"}"#.utf8))
            }
            #expect(report.count > 0)
            report.show()
        }
    }
}

/// Short ways into recordings of Kafka.
enum KafkaRecordings {
    static func headers(_ message: JSONValue) -> [(name: String, value: [UInt8]?)] {
        (message["headers"]?.items ?? []).map { header in
            (
                header["name"]?.string ?? "",
                header["text"]?.string.map { Array($0.utf8) }
                    ?? header["base64"]?.string.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
            )
        }
    }
}
