import Bus
import Foundation
import JSON
import Streams
import TestSupport
import Testing

@Suite struct BusReceptionGoldenTests {
    @Test func `hand-made messages are judged as the original judges them`() async throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "bus-reception").filter({ !$0.name.hasSuffix("kafka") }) {
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
                if let encoding = properties?["contentEncoding"]?.string, encoding != "UTF-8" {
                    report.leave(name, "\(encoding) is undone by the binder")
                    continue
                }
                if message["body"]?.string?.contains("\"type\":\"UnknownRemoteApplicationEvent\"") == true {
                    report.leave(
                        name, "Spring's placeholder sent as an event: handled by one generation, refused by another, passed over here")
                    continue
                }
                let body =
                    message["bodyBase64"]?.string.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
                    ?? Array((message["body"]?.string ?? "").utf8)
                if verdict == "rejected with an error", let difference = Self.differsBetweenGenerations(body) {
                    report.leave(name, difference)
                    continue
                }
                let ours = try await self.verdict(of: Envelope(payload: body, contentType: properties?["contentType"]?.string), id: id)
                report.played(ours == verdict)
                #expect(ours == verdict, "\(recording.name): \(name)")
            }
            #expect(report.count > 0)
            report.show()
        }
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
