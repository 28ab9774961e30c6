import Foundation
import Streams
import TestSupport
import Testing

@testable import KafkaBinder

/// What Spring Cloud Stream applications sent, received, dead-lettered and declared on Kafka, against this binder.
@Suite(.timeLimit(.minutes(4)))
struct KafkaGoldenTests {
    private func json(_ recording: GoldenFolder.Recording) throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: Data(try recording.bytes())) as? [String: Any] ?? [:]
    }

    private func bytes(_ base64: Any?) -> [UInt8]? { (base64 as? String).flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) } }

    /// A header or value that is recorded as text, as base64, or as null.
    private func bytes(_ row: [String: Any], _ text: String, _ base64: String) -> [UInt8]? {
        bytes(row[base64]) ?? (row[text] as? String).map { Array($0.utf8) }
    }

    private func headers(_ rows: Any?) -> RecordHeaders {
        RecordHeaders((rows as? [[String: Any]] ?? []).map { ($0["name"] as? String ?? "", bytes($0, "text", "base64")) })
    }

    private func record(_ row: [String: Any]) -> KafkaRecord {
        KafkaRecord(
            topic: row["topic"] as? String ?? "", partition: Int32(row["partition"] as? Int ?? 0),
            offset: Int64(row["offset"] as? Int ?? 0),
            timestamp: Int64(row["timestamp"] as? Int ?? -1), key: bytes(row, "key", "keyBase64"),
            value: bytes(row, "value", "valueBase64"),
            headers: headers(row["headers"]))
    }

    private func classes(_ headers: RecordHeaders) -> [String: String] {
        guard let types = headers.last(KafkaHeaders.types) else { return [:] }
        return (try? JSONSerialization.jsonObject(with: Data(types))) as? [String: String] ?? [:]
    }

    /// Those that come back from us byte by byte and with their class; of the rest only the value is kept.
    private static let ours: Set<String> = [
        "java.lang.String", "java.lang.Integer", "java.lang.Long", "java.lang.Double", "java.lang.Boolean", "java.util.ArrayList",
    ]

    @Test func `what Spring producers sent is read, and sent again with the same bytes`() throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "stream-kafka-producer") {
            var report = GoldenReport(recording.name)
            for message in try json(recording)["messages"] as? [[String: Any]] ?? [] {
                let name = message["name"] as? String ?? ""
                let wires = message["wire"] as? [[String: Any]] ?? []
                if wires.isEmpty { report.leave(name, "nothing was sent") }
                for wire in wires {
                    let record = record(wire)
                    var reader = KafkaHeaderReader()
                    let envelope = record.envelope(&reader)
                    if let embedded = EmbeddedHeaders.read(record.value ?? []) {
                        let ok =
                            envelope.contentType == "application/json" && envelope.payload == embedded.payload
                            && envelope.payload == Array((message["body"] as? String ?? "").utf8)
                        report.played(ok)
                        #expect(ok, "\(recording.name): \(name)")
                        continue
                    }
                    if record.headers.isEmpty {
                        let ok = envelope.payload == record.value && envelope.headers.isEmpty && envelope.contentType == nil
                        report.played(ok)
                        #expect(ok, "\(recording.name): \(name)")
                        continue
                    }
                    let again = KafkaHeaders.write(envelope)
                    let types = classes(record.headers)
                    var ok = envelope.payload == record.value ?? []
                    for (header, value) in record.headers.list where header != KafkaHeaders.types {
                        let type = types[header]
                        let isOurs = type.map(Self.ours.contains) ?? true
                        // A text that begins with a quote does not come back to Spring as it was: ours does.
                        guard isOurs, value?.first != UInt8(ascii: "\"") else {
                            report.quirk()
                            continue
                        }
                        ok = ok && again.last(header) == value && (header == "traceparent" || classes(again)[header] == type)
                    }
                    ok = ok && Set(again.list.map(\.name)) == Set(record.headers.list.map(\.name) + [KafkaHeaders.id])
                    // The same text where the order is the only thing that could differ.
                    if types.count <= 2, Set(types.keys).isSubset(of: ["contentType", "target-protocol"]) {
                        ok = ok && again.last(KafkaHeaders.types) == record.headers.last(KafkaHeaders.types)
                    }
                    ok = ok && again.list.last?.name == KafkaHeaders.types
                    report.played(ok)
                    #expect(ok, "\(recording.name): \(name)")
                }
            }
            report.show()
            #expect(report.count > 0)
        }
    }

    @Test func `keys choose the partitions that the recordings show`() throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "stream-kafka-partition-vectors") {
            var report = GoldenReport(recording.name)
            for (count, vectors) in try json(recording)["vectors"] as? [String: [[String: Any]]] ?? [:] {
                var configuration = KafkaConfiguration(addresses: [])
                configuration.partitions = ["d": Int(count) ?? 0]
                let binder = KafkaBinder(configuration: configuration)
                for vector in vectors {
                    guard let key = vector["key"] as? String, let partition = vector["partition"] as? Int else { continue }
                    var envelope = Envelope(payload: [], key: key)
                    let found = try binder.partition(of: &envelope, to: try Destination("d"))
                    let sent = KafkaHeaders.write(envelope)
                    let ok =
                        found == Int32(partition) && sent.last("scst_partition") == Array("\(partition)".utf8)
                        && classes(sent)["scst_partition"] == "java.lang.Integer"
                    report.played(ok)
                    #expect(ok, "key \(key) of \(count)")
                }
            }
            report.show()
            #expect(report.count > 0)
        }
    }

    /// What a Spring consumer was given, in our types; nil where Spring itself could not make anything of it.
    private func value(_ row: Any, listed: Bool) -> HeaderValue? {
        guard let row = row as? [String: Any] else { return nil }
        let text = row["text"] as? String ?? ""
        switch row["class"] as? String {
        case nil: return .null
        case "[B"?:
            let bytes = bytes(row["base64"]) ?? []
            return listed ? .bytes(bytes) : String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .bytes(bytes)
        case "java.lang.String"?, "java.util.UUID"?, "org.springframework.util.MimeType"?: return .string(text)
        case "java.lang.Integer"?, "java.lang.Long"?, "java.lang.Short"?: return Int64(text).map { .integer($0) }
        case "java.lang.Boolean"?: return .boolean(text == "true")
        case "java.lang.Double"?: return Double(text).map { .double($0) }
        case "java.util.Date"?: return .timestamp(1_700_000_000_123)  // the recording shows it in the words of a calendar
        case "java.util.ArrayList"?: return .array((row["list"] as? [Any] ?? []).compactMap { value($0, listed: true) })
        case "java.util.LinkedHashMap"?: return .table((row["map"] as? [String: Any] ?? [:]).compactMapValues { value($0, listed: true) })
        default: return nil
        }
    }

    private static let springs: Set<String> = ["contentType", "id", "timestamp", "deliveryAttempt", "scst_nativeHeadersPresent"]

    @Test func `records made by hand arrive as Spring's consumers saw them`() throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "stream-kafka-reception") {
            var report = GoldenReport(recording.name)
            for one in try json(recording)["cases"] as? [[String: Any]] ?? [] {
                let name = one["name"] as? String ?? ""
                guard let row = one["record"] as? [String: Any] else {
                    report.leave(name, "batches belong to the function above the binder")
                    continue
                }
                let record = record(row)
                var reader = KafkaHeaderReader()
                let envelope = record.envelope(&reader, embeddedHeaders: one["function"] as? String == "flaky4")
                guard one["delivered"] as? Int == 1, let recorded = one["headers"] as? [String: Any],
                    let payload = one["payload"] as? [String: Any]
                else {
                    // Spring loses these; ours are there with all their bytes.
                    report.quirk()
                    let ok = envelope.payload == record.value ?? []
                    report.played(ok)
                    #expect(ok, "\(recording.name): \(name)")
                    continue
                }
                var ok = payload["class"] as? String != "[B" || envelope.payload == bytes(payload["base64"]) ?? []
                let listed = record.headers.last(KafkaHeaders.types) != nil
                for (header, value) in recorded where !header.hasPrefix("kafka_") && !Self.springs.contains(header) {
                    guard let expected = self.value(value, listed: listed) else {
                        report.quirk()
                        continue
                    }
                    if envelope.headers[header] != expected {
                        ok = false
                        Issue.record("\(name): \(header) is \(envelope.headers[header].map { "\($0)" } ?? "missing"), not \(expected)")
                    }
                }
                if let type = recorded["contentType"] as? [String: Any] {
                    let text = type["text"] as? String
                    let plain = text.map { $0.hasPrefix("\"") ? String($0.dropFirst().dropLast()) : $0 }
                    ok = ok && (envelope.contentType == plain || envelope.contentType == nil && text == "application/json")
                }
                ok = ok && envelope.key == (row["key"] as? String)
                report.played(ok)
                #expect(ok, "\(recording.name): \(name)")
            }
            report.show()
            #expect(report.count > 0)
        }
    }

    @Test func `dead letters carry the headers that the recordings show, byte by byte`() throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "stream-kafka-retry") {
            var report = GoldenReport(recording.name)
            for one in try json(recording)["cases"] as? [[String: Any]] ?? [] {
                let name = one["name"] as? String ?? ""
                guard let row = (one["deadLetters"] as? [[String: Any]])?.first else {
                    report.leave(name, "no dead letter")
                    continue
                }
                let letter = record(row)
                func number(_ header: String) -> Int64 { DeadLetterHeaders.number(letter.headers.last(header)) ?? -1 }
                func text(_ header: String) -> String { String(decoding: letter.headers.last(header) ?? [], as: UTF8.self) }
                var original = KafkaRecord(
                    topic: one["topic"] as? String ?? "", partition: Int32(number("x-original-partition")),
                    offset: number("x-original-offset"),
                    timestamp: number("x-original-timestamp"), key: letter.key, value: bytes(one, "value", "valueBase64"))
                original.headers = headers(one["headers"])
                let made = DeadLetterHeaders.headers(
                    of: original, reason: FailureReason(message: text("x-exception-message"), kind: text("x-exception-fqcn")), attempt: 3,
                    room: 1_000_000)
                // The stack trace is Java's; ours names the same failure.
                func shown(_ headers: RecordHeaders) -> [String] {
                    headers.list.filter { $0.name != "carillon-attempts" }.map { header in
                        let isTrace = header.name == "x-exception-stacktrace"
                        return "\(header.name)=\(isTrace ? "" : Data(header.value ?? []).base64EncodedString())"
                    }
                }
                let ok =
                    shown(made) == shown(letter.headers) && letter.value == original.value
                    && text("x-exception-stacktrace").contains(text("x-exception-fqcn"))
                report.played(ok)
                #expect(ok, "\(recording.name): \(name): \(shown(made)) is not \(shown(letter.headers))")
                // And what Spring has buried is a dead letter of ours.
                guard letter.topic.hasPrefix("error.") else { continue }
                let names = try KafkaNames(Destination(original.topic), ConsumerGroup("workers"), .group)
                let form = DeadLetterForm(names: names, configuration: KafkaConfiguration(addresses: []))
                let found = form.letter(letter).map(form.view)
                #expect(found?.reason.message == text("x-exception-message") && found?.envelope.payload == original.value)
                #expect(found?.envelope.headers["x-original-offset"] == nil && found?.time == letter.timestamp)
            }
            report.show()
            #expect(report.count > 0)
        }
    }

    @Test(.enabled(if: KafkaServer.isAvailable, "\(KafkaServer.whyNot)"))
    func `topics, partitions and dead-letter topics are those that the recordings show`() async throws {
        let server = try await KafkaServer.shared()
        for recording in try GoldenFolder.recordings("bus", prefix: "stream-kafka-topology-s") {
            var report = GoldenReport(recording.name)
            let whole = try json(recording)
            let topics = (whole["topics"] as? [String: [String: Any]] ?? [:]).mapValues { $0["partitions"] as? Int ?? 0 }
            let suffix = "-\(Identifier.random().prefix(6))"
            var counts: [String: Int] = [:]
            for (topic, partitions) in topics { counts[topic + suffix] = partitions }
            let wanted = counts
            try await withBinder(server, { $0.partitions = wanted }) { binder in
                for (topic, partitions) in topics.sorted(by: { $0.key < $1.key }) {
                    let (name, group) = (topic + suffix, try ConsumerGroup("workers"))
                    if topic.hasPrefix("error.") {
                        let source = topic.dropFirst("error.".count).dropLast(".workers".count) + suffix
                        try await binder.prepare(group: group, of: try Destination(String(source)))
                        let found = try await RawKafka.admin(server) { try $0.partitions(of: "error.\(source).workers") }
                        report.played(found == partitions)
                        #expect(found == partitions, "\(topic)")
                    } else if topic.hasPrefix("dead-") {
                        report.leave(topic, "a dead-letter topic by a name of the user's own")
                    } else {
                        _ = try await binder.latestPosition(of: try Destination(name))
                        let found = try await RawKafka.admin(server) { try $0.partitions(of: name) }
                        report.played(found == partitions)
                        #expect(found == partitions, "\(topic)")
                    }
                }
                // Without a group nothing is left behind, where Spring leaves a group of a random name.
                try await binder.withSubscription(to: try Destination("s.lone" + suffix), group: nil, options: SubscriptionOptions()) { _ in
                }
            }
            let groups = try await server.tool("groups", "--list")
            #expect(!groups.contains("anonymous") && !groups.contains(KafkaNames.nobody))
            report.show()
            #expect(report.count > 0)
        }
    }
}
