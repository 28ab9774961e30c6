import Bus
import Foundation
import JSON
import KafkaBinder
import Streams
import TestSupport
import Testing

@testable import RabbitMQBinder

@Suite struct BusReceptionGoldenTests {
    @Test func `hand-made messages are judged as the original judges them`() async throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "bus-reception") {
            var report = GoldenReport(recording.name)
            let document = try JSONReader.read(try recording.bytes())
            let id = try #require(document["busId"]?.string)
            for one in document["cases"]?.items ?? [] {
                guard let name = one["name"]?.string, let verdict = one["verdict"]?.string, let message = one["message"] else { continue }
                if one["quirk"]?.isTrue == true {
                    report.quirk()
                    continue
                }
                let properties = message["properties"]
                if (message["body"] ?? message["value"])?.string?.contains("\"type\":\"UnknownRemoteApplicationEvent\"") == true {
                    report.leave(
                        name, "Spring's placeholder sent as an event: handled by one generation, refused by another, passed over here")
                    continue
                }
                var envelope = recording.name.hasSuffix("kafka") ? Self.kafkaEnvelope(message) : Self.envelope(message)
                // What the binder does before the bus sees the event.
                if let encoding = properties?["contentEncoding"]?.string, let first = ContentEncoding.first(of: encoding) {
                    envelope.payload = try first.encoding.undone(envelope.payload, within: InflationLimits(largest: 1 << 20, ratio: 200))
                }
                if verdict == "rejected with an error", let difference = Self.differsBetweenGenerations(envelope.payload) {
                    report.leave(name, difference)
                    continue
                }
                if name == "embedded headers (Dalston)" {
                    report.leave(name, "the oldest generation's form, which newer ones refuse: read here")
                    #expect(try await self.verdict(of: envelope, id: id) == "handled and acknowledged")
                    continue
                }
                if name == "headers: empty" {
                    report.leave(name, "an empty content type counts as none, as the original has it on RabbitMQ")
                    #expect(try await self.verdict(of: envelope, id: id) == "handled and acknowledged")
                    continue
                }
                let ours = try await self.verdict(of: envelope, id: id)
                report.played(ours == verdict)
                #expect(ours == verdict, "\(recording.name): \(name)")
            }
            #expect(report.count > 0)
            report.show()
        }
    }

    private static func envelope(_ message: JSONValue) -> Envelope {
        let body =
            message["bodyBase64"]?.string.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
            ?? Array((message["body"]?.string ?? "").utf8)
        return Envelope(payload: body, contentType: message["properties"]?["contentType"]?.string)
    }

    /// The record as the binder makes an envelope of it.
    private static func kafkaEnvelope(_ message: JSONValue) -> Envelope {
        let body =
            message["valueBase64"]?.string.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
            ?? Array((message["value"]?.string ?? "").utf8)
        var envelope = Envelope(payload: body)
        let headers = RecordHeaders(KafkaRecordings.headers(message))
        if !headers.isEmpty || !EmbeddedHeaders.read(body, into: &envelope) {
            var reader = KafkaHeaderReader()
            reader.read(headers, into: &envelope)
        }
        return envelope
    }

    /// What one generation of the original takes and another refuses; we take it, wherever it can be understood.
    private static func differsBetweenGenerations(_ body: [UInt8]) -> String? {
        guard let document = try? JSONReader.read(body, ignoringRest: true), case .object = document else { return nil }
        if (try? JSONReader.read(body)) == nil { return "text after the event: refused by Jackson 3" }
        if let time = document["timestamp"]?.string, Int64(time) == nil { return "a time as ISO text: refused by Jackson 2" }
        if document["type"]?.string == "InventoryEvent", document["quantity"] == .null { return "null for a number: refused by Jackson 3" }
        return nil
    }

    /// The words of the recordings for what a bus does with a message.
    private func verdict(of envelope: Envelope, id: String) async throws -> String {
        let binder = MemoryBinder()
        let seen = Collected<BusObservation>()
        return try await withBuses([id], over: binder) { bus in
            bus.observe { seen.add($0) }
            bus.handle(custom: "InventoryEvent", className: "fleet.InventoryEvent") { event throws(BusDecodingError) in
                guard case .custom(_, let members) = event.kind else { return Int64(0) }
                guard let quantity = JSONValue.object(members)["quantity"], quantity != .null else { return 0 }
                guard let number = quantity.integer else { throw BusDecodingError("quantity is not a number") }
                return number
            } _: { _, _ in
                EventBus.Handled(.applied)
            }
            bus.handle(custom: "FleetApp$PriceEvent", className: "fleet.FleetApp$PriceEvent") { _ throws(BusDecodingError) in
                ()
            } _: { _, _ in
                EventBus.Handled(.applied)
            }
        } _: { _ in
            let before = seen.count
            binder.inject(envelope)
            // A second event that is surely handled tells that the first has been.
            let last = BusEvent(.refresh, origin: "lab:2:last", destination: nil)
            binder.inject(Envelope(payload: last.encoded))
            try await eventually("the last event is acknowledged") {
                binder.published.contains { (try? BusEvent(decoding: $0.payload))?.acknowledgement?.id == last.id }
            }
            let acknowledgements = binder.published.filter { (try? BusEvent(decoding: $0.payload))?.acknowledgement?.id != last.id }
            if !acknowledgements.isEmpty { return "handled and acknowledged" }
            for observation in seen.all.dropFirst(before) {
                switch observation {
                case .refused: return "rejected with an error"
                case .received(_, .watch): return "traced only"
                case .received(let message, .passOver) where message.event.id != last.id: return "sent event only"
                default: continue
                }
            }
            return "ignored silently"
        }
    }
}
