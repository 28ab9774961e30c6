import Foundation
import LocalBinder
import Streams
import TestSupport
import Testing

@testable import Functions

/// What Spring's `byte[]`, `String`, typed and batch consumers made of hand-made messages, against functions of the same types.
@Suite struct ReceptionGoldenTests {
    /// The recorded application's type: primitive and missing fields have Java's defaults.
    private struct Item: Codable, Sendable {
        var name: String
        var quantity: Int
        var tags: [String]

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            name = try fields.decode(String.self, forKey: .name)
            quantity = try fields.decodeIfPresent(Int.self, forKey: .quantity) ?? 0
            tags = try fields.decodeIfPresent([String].self, forKey: .tags) ?? []
        }

        /// As the recording shows it; a list that was not there is empty or null, by generation.
        var shown: String { "\(name)/\(quantity)/\(tags)" }
    }

    private static func shown(_ payload: Any?) -> String? {
        guard let payload = payload as? [String: Any], let kind = payload["class"] as? String else { return nil }
        switch kind {
        case "[B": return "bytes " + (payload["base64"] as? String ?? "")
        case "java.lang.String": return "text " + (payload["text"] as? String ?? "")
        default: return "item " + (payload["text"] as? String ?? "").replacing("/null", with: "/[]")
        }
    }

    /// What the function of a recorded application took, or why not.
    private enum Outcome: Equatable {
        case called([String])
        case refused
    }

    /// The envelope that the RabbitMQ binder makes of a recorded message; its own golden suite judges that step.
    private func envelope(_ message: [String: Any]) -> Envelope {
        let properties = message["properties"] as? [String: Any] ?? [:]
        var headers: [String: HeaderValue] = [:]
        for (name, value) in message["headers"] as? [String: Any] ?? [:] {
            if let text = (value as? [String: Any])?["v"] as? String { headers[name] = .string(text) }
        }
        let type = properties["contentType"] as? String
        let body = (message["bodyBase64"] as? String).flatMap { Data(base64Encoded: $0) } ?? Data((message["body"] as? String ?? "").utf8)
        return Envelope(payload: [UInt8](body), contentType: type == "" ? nil : type, headers: headers)
    }

    private func outcome(_ envelope: Envelope, _ exchange: String) async throws -> Outcome {
        let seen = Recorded<String>()
        let result = Recorded<Outcome>()
        try await Bench.with(inputs: ["sink-in-0": InputBinding("golden", group: "g")]) { app in
            switch exchange {
            case "parcels": app.function("sink") { (text: String) in seen.add("text " + text) }
            case "goods": app.function("sink") { (item: Item) in seen.add("item " + item.shown) }
            default: app.function("sink") { (bytes: [UInt8]) in seen.add("bytes " + Data(bytes).base64EncodedString()) }
            }
        } _: { bench in
            _ = try await bench.binder.publish(envelope, to: Destination("golden"))
            try await eventually { try await bench.backlog("golden", "g").total == 0 }
            let dead = try await bench.deadLetters("golden", "g")
            result.add(dead.isEmpty ? .called(seen.all) : .refused)
            #expect(dead.isEmpty || seen.all.isEmpty)
            if let reason = dead.first?.reason.message { #expect(reason.contains("content type")) }
        }
        return try #require(result.all.first)
    }

    @Test func `functions take, convert and refuse what the recordings show`() async throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "stream-amqp-reception") {
            var report = GoldenReport(recording.name)
            let whole = try JSONSerialization.jsonObject(with: Data(try recording.bytes())) as? [String: Any] ?? [:]
            for one in whole["cases"] as? [[String: Any]] ?? [] {
                let name = one["name"] as? String ?? ""
                if one["quirk"] as? Bool == true || name.hasPrefix("batch consumer") || name.hasPrefix("7 messages for the batch consumer")
                {
                    report.quirk()  // the original hands empty lists to a batch consumer of bytes
                    continue
                }
                if let received = one["received"] as? [[String: Any]] {
                    let ok = try await batches(received)
                    report.played(ok)
                    #expect(ok, "\(recording.name): \(name)")
                    continue
                }
                guard let message = one["message"] as? [String: Any], let exchange = one["exchange"] as? String else { continue }
                let isPacked = (message["properties"] as? [String: Any])?["contentEncoding"] != nil || one["delivered"] as? Int == 2
                guard !isPacked else {
                    report.leave(name, "the RabbitMQ binder unpacks and divides; its own suite plays this")
                    continue
                }
                let shown = Self.shown(one["payload"])
                let kind = ["parcels": "text", "goods": "item"][exchange] ?? "bytes"
                var expected = Outcome.refused
                if one["delivered"] as? Int ?? 0 > 0, let shown {
                    // A payload that it cannot convert, the original hands over as it is, and the function's cast fails: ours is not called.
                    expected = shown.hasPrefix(kind) ? .called([shown]) : .refused
                }
                let found = try await outcome(envelope(message), exchange)
                let ok = found == expected
                report.played(ok)
                #expect(ok, "\(recording.name): \(name): \(found), not \(expected)")
            }
            report.show()
            #expect(report.count > 30)
        }
    }

    /// Plays the items of recorded batches through a function of batches of the same size.
    private func batches(_ received: [[String: Any]]) async throws -> Bool {
        let expected = received.map { call in
            ((call["payload"] as? [String: Any])?["list"] as? [[String: Any]] ?? []).compactMap { Self.shown($0) }
        }
        let seen = Recorded<[String]>()
        var binding = InputBinding("golden", group: "g")
        binding.batch = InputBinding.Batch(size: 4, wait: .seconds(3))
        try await Bench.with(inputs: ["items-in-0": binding]) { app in
            app.batch("items") { (items: [Item]) in seen.add(items.map { "item " + $0.shown }) }
        } _: { bench in
            try bench.app.pause("items-in-0")
            for index in 0..<6 { try await bench.publish("{\"name\":\"i\(index)\",\"quantity\":\(index)}", to: "golden") }
            try bench.app.resume("items-in-0")
            try await eventually { try await bench.backlog("golden", "g").total == 0 }
        }
        return !expected.isEmpty && seen.all == expected
    }
}
