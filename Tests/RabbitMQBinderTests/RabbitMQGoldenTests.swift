import Foundation
import Streams
import TestSupport
import Testing

@testable import RabbitMQBinder

/// What Spring Cloud Stream applications declared, sent and dead-lettered on RabbitMQ, against this binder on a real broker.
@Suite(.enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"), .timeLimit(.minutes(4)))
struct RabbitMQGoldenTests {
    private func json(_ recording: GoldenFolder.Recording) throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: Data(try recording.bytes())) as? [String: Any] ?? [:]
    }

    // MARK: Topology

    private struct Form {
        var destination: Destination
        var group: ConsumerGroup?
        var partition: Int?
        var deadLetters: Bool
        /// Declared by a producer that wants the group to miss nothing.
        var byProducer = false
        var prefix = ""
        var options = RabbitMQQueueOptions()
        var deadLetterQueue = ""
    }

    /// The subscription that must declare this queue; nil with a reason where the binder has no such form.
    private func form(
        of queue: [String: Any], exchange: [String: Any]?, keys: [String], in topology: [String: [[String: Any]]]
    ) throws -> Result<Form, AMQPFailure> {
        func left(_ why: String) -> Result<Form, AMQPFailure> { .failure(AMQPFailure(.broken, why)) }
        guard let name = queue["name"] as? String, let exchange, let source = exchange["name"] as? String else {
            return left("no exchange")
        }
        if name.hasPrefix("\(source).anonymous.") {
            return .success(Form(destination: try Destination(source), group: nil, partition: nil, deadLetters: false))
        }
        let arguments = queue["arguments"] as? [String: Any] ?? [:]
        var options = RabbitMQQueueOptions()
        guard let type = RabbitMQQueueOptions.ExchangeType(rawValue: exchange["type"] as? String ?? "") else {
            return left("exchange type")
        }
        options.exchangeType = type
        let letters = arguments["x-dead-letter-exchange"] as? String
        let prefix = letters?.hasSuffix("DLX") == true ? String((letters ?? "").dropLast(3)) : ""
        guard let limits = try limits(arguments) else { return left("queue options") }
        options.limits = limits
        options.isNamedByGroup = !name.hasPrefix(source + ".")
        var group = options.isNamedByGroup ? name : String(name.dropFirst(source.count + 1))
        var partition: Int?
        if keys == ["#"] {
        } else if keys.count == 1, let dash = group.lastIndex(of: "-"), keys[0] == "\(source)\(group[dash...])" {
            partition = Int(group[group.index(after: dash)...])
            group = String(group[..<dash])
        } else {
            options.bindingRoutingKeys = keys
        }
        let base = partition == nil ? name : name.replacing(/-\d+$/, with: "")
        if let letters, letters != prefix + "DLX" { options.deadLetters.exchange = letters }
        let key = arguments["x-dead-letter-routing-key"] as? String
        if let key, key != name { options.deadLetters.routingKey = key }
        let kept =
            (topology["bindings"] ?? []).first {
                $0["source"] as? String == letters && $0["routing_key"] as? String == key
            }?["destination"] as? String
        if let kept, kept != base + ".dlq" { options.deadLetters.queue = kept }
        let row = (topology["queues"] ?? []).first { $0["name"] as? String == kept }
        guard let keptLimits = try self.limits(row?["arguments"] as? [String: Any] ?? [:]) else { return left("dead-letter options") }
        options.deadLetters.limits = keptLimits
        return .success(
            Form(
                destination: try Destination(String(source.dropFirst(prefix.count))), group: try ConsumerGroup(group),
                partition: partition, deadLetters: letters != nil, prefix: prefix, options: options,
                deadLetterQueue: kept ?? base + ".dlq"))
    }

    /// The limits that these arguments say; nil where one of them is unknown.
    private func limits(_ arguments: [String: Any]) throws -> RabbitMQQueueLimits? {
        var limits = RabbitMQQueueLimits()
        for (name, value) in arguments.sorted(by: { $0.key > $1.key }) where !name.hasPrefix("x-dead-letter-") {
            // What is true in JSON may be read as 1.
            let text = name == "x-single-active-consumer" ? "\(value as? Bool == true)" : "\(value)"
            guard try limits.set(String(name.dropFirst(2)), text) else { return nil }
        }
        return limits
    }

    /// What concerns one queue: itself, its dead-letter queue, the exchanges and bindings of both; anonymous names made equal.
    private func rows(about queue: String, letters: String, in topology: [String: [[String: Any]]]) -> Set<String> {
        let base = queue.replacing(/-\d+$/, with: "")
        let names: Set<String> = [queue, letters]
        func plain(_ row: [String: Any], _ fields: [String]) -> String {
            fields.map { field in
                var value = row[field] ?? ""
                // Of a quorum queue rabbitmqctl says nothing here.
                if field == "exclusive", value as? String == "" { value = 0 }
                if let table = value as? [String: Any] {
                    // The place of an exclusive queue is its connection's node anyway; newer Spring lines do not send this argument.
                    value = table.filter { $0.key != "x-queue-master-locator" }.map { "\($0.key)=\($0.value)" }.sorted()
                }
                return "\(field)=\("\(value)".replacing(/anonymous\.[A-Za-z0-9_-]{22}$/, with: "anonymous.*"))"
            }.joined(separator: " ")
        }
        var rows: Set<String> = []
        var exchanges: Set<String> = []
        for row in topology["queues"] ?? [] where names.contains(row["name"] as? String ?? "") {
            rows.insert("queue " + plain(row, ["name", "durable", "auto_delete", "exclusive", "arguments"]))
        }
        for row in topology["bindings"] ?? [] where names.contains(row["destination"] as? String ?? "") && row["source"] as? String != "" {
            let key = row["routing_key"] as? String ?? ""
            // One dead-letter queue serves all partitions: only this one's binding and the group's.
            if (row["destination"] as? String)?.hasSuffix(".dlq") == true, ![queue, base].contains(key) { continue }
            rows.insert("binding " + plain(row, ["source", "destination", "routing_key", "arguments"]))
            exchanges.insert(row["source"] as? String ?? "")
        }
        for row in topology["exchanges"] ?? [] where exchanges.contains(row["name"] as? String ?? "") {
            rows.insert("exchange " + plain(row, ["name", "type", "durable", "auto_delete", "internal", "arguments"]))
        }
        return rows
    }

    private func topology(of server: RabbitMQServer) async throws -> [String: [[String: Any]]] {
        func list(_ text: String, renaming names: [String: String] = [:]) throws -> [[String: Any]] {
            let rows = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]] ?? []
            return rows.map { row in
                var renamed: [String: Any] = [:]
                for (key, value) in row {
                    var value = value
                    // rabbitmqctl writes a table as a list of name, type and value.
                    if key == "arguments" {
                        var table: [String: Any] = [:]
                        for entry in value as? [[Any]] ?? [] where entry.count == 3 { table["\(entry[0])"] = entry[2] }
                        if let object = value as? [String: Any] { table = object }
                        value = table
                    }
                    renamed[names[key] ?? key] = value
                }
                return renamed
            }
        }
        return [
            "queues": try list(
                try await server.control("list_queues", "name", "durable", "auto_delete", "exclusive", "arguments", "--formatter", "json")),
            "exchanges": try list(
                try await server.control(
                    "list_exchanges", "name", "type", "durable", "auto_delete", "internal", "arguments", "--formatter", "json")),
            "bindings": try list(
                try await server.control(
                    "list_bindings", "source_name", "destination_name", "routing_key", "arguments", "--formatter", "json"),
                renaming: ["source_name": "source", "destination_name": "destination"]),
        ]
    }

    /// Declares all forms, the broadcast ones as long as `body` runs: their queues end with their subscription.
    private func declare(_ forms: ArraySlice<Form>, on binder: RabbitMQBinder, _ body: () async throws -> Void) async throws {
        guard let form = forms.first else { return try await body() }
        let options = SubscriptionOptions(deadLetters: form.deadLetters, partition: form.partition)
        if let group = form.group {
            if form.byProducer {
                try await binder.prepare(group: group, of: form.destination)
            } else {
                try await binder.withSubscription(to: form.destination, group: group, options: options) { _ in }
            }
            try await declare(forms.dropFirst(), on: binder, body)
        } else {
            try await binder.withSubscription(to: form.destination, group: nil, options: options) { _ in
                try await declare(forms.dropFirst(), on: binder, body)
            }
        }
    }

    @Test func `queues, exchanges and bindings are those that the recordings show`() async throws {
        let server = try await RabbitMQServer.shared("topology")
        for recording in try GoldenFolder.recordings("bus", prefix: "stream-amqp-topology-s") {
            var report = GoldenReport(recording.name)
            let whole = try json(recording)
            var forms: [Form] = []
            var expected: [(name: String, rows: Set<String>)] = []
            var options: [String: RabbitMQQueueOptions] = [:]
            var partitions: [String: Int] = [:]
            for part in ["topology", "bus"] {
                guard let recorded = whole[part] as? [String: [[String: Any]]] else { continue }
                for queue in recorded["queues"] ?? [] {
                    guard let name = queue["name"] as? String, !name.hasSuffix(".dlq") else { continue }
                    // Not a group's queue, but what keeps the dead letters of one.
                    if (recorded["bindings"] ?? []).contains(where: {
                        $0["destination"] as? String == name && "\($0["source"] ?? "")".contains("dlx")
                    }) {
                        continue
                    }
                    let bindings = (recorded["bindings"] ?? []).filter {
                        $0["destination"] as? String == name && $0["source"] as? String != ""
                    }
                    let source = bindings.first?["source"] as? String
                    let exchange = (recorded["exchanges"] ?? []).first { $0["name"] as? String == source }
                    let keys = bindings.compactMap { $0["routing_key"] as? String }
                    switch try form(of: queue, exchange: exchange, keys: keys, in: recorded) {
                    case .failure(let why): report.leave(name, why.text)
                    case .success(var form):
                        if let partition = form.partition {
                            let base = name.replacing(/-\d+$/, with: "")
                            form.byProducer = !(recorded["bindings"] ?? []).contains { $0["routing_key"] as? String == base }
                            if form.byProducer {
                                partitions[form.destination.name] = max(partitions[form.destination.name] ?? 0, partition + 1)
                            }
                        }
                        forms.append(form)
                        options[form.destination.name] = form.options
                        expected.append((name, rows(about: name, letters: form.deadLetterQueue, in: recorded)))
                    }
                }
            }
            let counts = partitions
            let declared = options
            var present: [String: [[String: Any]]] = [:]
            // Those without a prefix last: the broadcast queues among them are there for as long as they are looked at.
            for prefix in Set(forms.map(\.prefix)).union([""]).sorted(by: >) {
                try await withBinder(
                    server,
                    {
                        $0.partitions = counts
                        $0.prefix = prefix
                        $0.queues = declared
                    }
                ) { binder in
                    try await declare(forms.filter { $0.prefix == prefix }[...], on: binder) { present = try await topology(of: server) }
                }
            }
            for (form, (name, rows)) in zip(forms, expected) {
                let queues = (present["queues"] ?? []).compactMap { $0["name"] as? String }
                let mine = form.group == nil ? queues.first { $0.hasPrefix("\(form.destination.name).anonymous.") } : name
                let found = self.rows(about: mine ?? "", letters: form.deadLetterQueue, in: present)
                report.played(found == rows)
                #expect(found == rows, "\(name): \(found.symmetricDifference(rows).sorted())")
            }
            report.show()
            #expect(report.count > 0)
        }
    }

    // MARK: Partitions

    @Test func `keys choose the routing keys that the recordings show`() async throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "stream-amqp-partition-vectors") {
            var report = GoldenReport(recording.name)
            for (count, vectors) in try json(recording)["vectors"] as? [String: [[String: Any]]] ?? [:] {
                var configuration = RabbitMQConfiguration(addresses: [])
                for vector in vectors {
                    guard let key = vector["key"] as? String, let routingKey = vector["routingKey"] as? String,
                        let dash = routingKey.lastIndex(of: "-"), let partitions = Int(count)
                    else { continue }
                    let destination = try Destination(String(routingKey[..<dash]))
                    configuration.partitions = [destination.name: partitions]
                    let binder = RabbitMQBinder(configuration: configuration)
                    let found = try binder.routingKey(of: Envelope(payload: [], key: key), to: destination)
                    report.played(found == routingKey)
                    #expect(found == routingKey, "key \(key) of \(count)")
                }
            }
            report.show()
            #expect(report.count > 0)
        }
    }

    // MARK: Messages

    /// What a recorded header is in the types that all binders have in common.
    private func value(_ recorded: Any) -> HeaderValue {
        guard let pair = recorded as? [String: Any], let type = pair["t"] as? String else { return .null }
        let value = pair["v"]
        switch type {
        case "S", "D": return .string(value as? String ?? "")
        case "I", "l", "s", "b": return .integer(Int64(value as? Int ?? 0))
        case "d", "f": return .double(value as? Double ?? 0)
        case "t": return .boolean(value as? Bool ?? false)
        case "x": return .bytes([UInt8](Data(base64Encoded: value as? String ?? "") ?? Data()))
        case "T": return .timestamp(Int64(value as? Int ?? 0) * 1000)
        case "A": return .array((value as? [Any] ?? []).map { self.value($0) })
        case "F": return .table((value as? [String: Any] ?? [:]).mapValues { self.value($0) })
        default: return .null
        }
    }

    private func body(_ message: [String: Any]) -> [UInt8] {
        if let base64 = message["bodyBase64"] as? String { return [UInt8](Data(base64Encoded: base64) ?? Data()) }
        return Array((message["body"] as? String ?? "").utf8)
    }

    /// Sends the message as recorded and returns what the binder makes of it.
    private func received(
        _ message: [String: Any], on server: RabbitMQServer, by binder: RabbitMQBinder, count: Int = 1
    ) async throws -> [ReceivedEnvelope] {
        let destination = try fresh("golden")
        let properties = try JSONSerialization.data(withJSONObject: message["properties"] ?? [:])
        let headers = try JSONSerialization.data(withJSONObject: message["headers"] ?? [:])
        let payload = body(message)
        return try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions()) { deliveries in
            try await RawAMQP.with(server.uri) { connection in
                try RawAMQP.publish(
                    to: destination.name, key: "any", properties: JSONSerialization.jsonObject(with: properties) as? [String: Any] ?? [:],
                    headers: JSONSerialization.jsonObject(with: headers) as? [String: Any] ?? [:], body: payload, connection)
            }
            var taken: [ReceivedEnvelope] = []
            while taken.count < count, let delivery = try await deliveries.next()?.take() {
                try await delivery.settlement.settle(.accept)
                taken.append(delivery)
            }
            return taken
        }
    }

    /// `payload` and `encoding`: what a compressed body is when it is undone.
    private func judge(
        _ message: [String: Any], _ delivery: ReceivedEnvelope?, payload: [UInt8]? = nil, encoding: String?? = .none
    ) -> Bool {
        guard let envelope = delivery?.envelope else { return false }
        let properties = message["properties"] as? [String: Any] ?? [:]
        var headers = (message["headers"] as? [String: Any] ?? [:]).mapValues { value($0) }
        for (property, header) in [
            ("correlationId", "amqp_correlationId"), ("replyTo", "amqp_replyTo"), ("type", "amqp_type"), ("appId", "amqp_appId"),
            ("contentEncoding", "amqp_contentEncoding"),
        ] {
            if let text = properties[property] as? String { headers[header] = .string(text) }
        }
        if case .some(let left) = encoding { headers["amqp_contentEncoding"] = left.map { .string($0) } }
        headers["springBatchFormat"] = nil
        let type = properties["contentType"] as? String
        let id = properties["messageId"] as? String
        return envelope.payload == payload ?? body(message) && envelope.headers == headers
            && envelope.contentType == (type == "" ? nil : type)
            && (id == nil ? !envelope.id.isEmpty : envelope.id == id)
            && envelope.timestamp == (properties["timestamp"] as? Int).map { Int64($0) * 1000 }
    }

    @Test func `what Spring producers sent is read with every property, header type and byte`() async throws {
        let server = try await RabbitMQServer.shared()
        try await withBinder(server) { binder in
            for recording in try GoldenFolder.recordings("bus", prefix: "stream-amqp-producer") {
                var report = GoldenReport(recording.name)
                for message in try json(recording)["messages"] as? [[String: Any]] ?? [] where message["quirk"] as? Bool != true {
                    let name = message["name"] as? String ?? ""
                    for wire in message["wire"] as? [[String: Any]] ?? [] {
                        let ok = judge(wire, try await received(wire, on: server, by: binder).first)
                        report.played(ok)
                        #expect(ok, "\(recording.name): \(name)")
                    }
                }
                report.show()
                #expect(report.count > 0)
            }
        }
    }

    @Test func `messages made by hand arrive as Spring's plain consumers saw them`() async throws {
        let server = try await RabbitMQServer.shared()
        try await withBinder(server) { binder in
            for recording in try GoldenFolder.recordings("bus", prefix: "stream-amqp-reception") {
                var report = GoldenReport(recording.name)
                for one in try json(recording)["cases"] as? [[String: Any]] ?? [] where one["quirk"] as? Bool != true {
                    let name = one["name"] as? String ?? ""
                    guard let message = one["message"] as? [String: Any] else { continue }
                    let isBatch = (message["headers"] as? [String: Any])?["springBatchFormat"] != nil
                    guard one["function"] as? String == "sink", let count = one["delivered"] as? Int, count == 1 || isBatch,
                        let payload = one["payload"] as? [String: Any], let base64 = payload["base64"] as? String
                    else {
                        report.leave(name, "conversion and refusal belong to the function above the binder")
                        continue
                    }
                    let first = [UInt8](Data(base64Encoded: base64) ?? Data())
                    let left = (one["headers"] as? [String: Any])?["amqp_contentEncoding"] as? [String: Any]
                    let deliveries = try await received(message, on: server, by: binder, count: count)
                    var ok = judge(message, deliveries.first, payload: first, encoding: .some(left?["text"] as? String))
                    if isBatch {
                        let whole = deliveries.flatMap { one in
                            let payload = one.envelope.payload
                            return [0, 0, UInt8(payload.count / 256), UInt8(payload.count % 256)] + payload
                        }
                        ok = ok && deliveries.count == count && whole == body(message)
                    }
                    report.played(ok)
                    #expect(ok, "\(recording.name): \(name)")
                }
                report.show()
                #expect(report.count > 0)
            }
        }
    }

    @Test func `dead letters carry the properties and headers that the recordings show`() async throws {
        let server = try await RabbitMQServer.shared()
        let ours: Set<String> = [
            "x-exception-message", "x-exception-stacktrace", "x-original-exchange", "x-original-routingKey", "retry-count",
        ]
        try await withBinder(server) { binder in
            for recording in try GoldenFolder.recordings("bus", prefix: "stream-amqp-retry") {
                var report = GoldenReport(recording.name)
                for one in try json(recording)["cases"] as? [[String: Any]] ?? [] where one["quirk"] as? Bool != true {
                    let name = one["name"] as? String ?? ""
                    guard let letter = (one["deadLetters"] as? [[String: Any]])?.first, let recorded = letter["headers"] as? [String: Any],
                        let source = one["exchange"] as? String, let queue = letter["routingKey"] as? String,
                        case .string(let text) = value(recorded["x-exception-message"] ?? "")
                    else {
                        report.leave(name, "no republished dead letter")
                        continue
                    }
                    var sent = recorded.filter { !ours.contains($0.key) }
                    if case .integer(let count) = value(recorded["retry-count"] ?? ""), count > 1 {
                        sent["retry-count"] = ["t": "l", "v": count - 1] as [String: Any]
                    }
                    let found = try await deadLetter(
                        of: Envelope(payload: body(letter)), properties: letter["properties"] as? [String: Any] ?? [:], headers: sent,
                        destination: try Destination(source), group: try ConsumerGroup(String(queue.dropFirst(source.count + 1))),
                        reason: text,
                        binder, server)
                    let expected = (letter["properties"] as? [String: Any] ?? [:]).mapValues { "\($0)" }
                    let headers = recorded.mapValues { pair in
                        RawMessage.Header(type: (pair as? [String: Any])?["t"] as? String ?? "", value: RawMessage.text(value(pair)))
                    }
                    func same(_ name: String) -> Bool { name == "x-exception-stacktrace" || found?.headers[name] == headers[name] }
                    let ok =
                        found?.exchange == letter["exchange"] as? String && found?.routingKey == queue && found?.properties == expected
                        && found?.body == body(letter) && Set(found?.headers.keys.map { $0 } ?? []) == Set(headers.keys)
                        && headers.keys.allSatisfy(same) && found?.headers["x-exception-stacktrace"]?.value.contains(text) == true
                    report.played(ok)
                    #expect(ok, "\(recording.name): \(name): \(found.map { "\($0)" } ?? "none")")
                }
                report.show()
                #expect(report.count > 0)
            }
        }
    }

    private func deadLetter(
        of envelope: Envelope, properties: [String: Any], headers: [String: Any], destination: Destination, group: ConsumerGroup,
        reason: String, _ binder: RabbitMQBinder, _ server: RabbitMQServer
    ) async throws -> RawMessage? {
        // What Carillon adds in headers of its own is no part of the comparison.
        let properties = try JSONSerialization.data(withJSONObject: properties)
        let headers = try JSONSerialization.data(withJSONObject: headers)
        try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
            try await RawAMQP.with(server.uri) { connection in
                try RawAMQP.publish(
                    to: destination.name, key: destination.name,
                    properties: JSONSerialization.jsonObject(with: properties) as? [String: Any] ?? [:],
                    headers: JSONSerialization.jsonObject(with: headers) as? [String: Any] ?? [:], body: envelope.payload, connection)
            }
            try await deliveries.next()?.reject(FailureReason(message: reason, kind: "test.Failure"))
        }
        return try await RawAMQP.with(server.uri) { connection in
            guard var message = try RawAMQP.take(1, from: "\(destination.name).\(group.name).dlq", connection).first else { return nil }
            message.headers = message.headers.filter { !$0.key.hasPrefix("carillon-") }
            return message
        }
    }
}
