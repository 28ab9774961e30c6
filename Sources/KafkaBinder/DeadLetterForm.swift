import Streams

/// What a record of a dead-letter topic means, and what is sent when it is replayed or written again.
struct DeadLetterForm: Sendable {
    let names: KafkaNames
    let configuration: KafkaConfiguration

    struct Letter: Sendable {
        var record: KafkaRecord
        var id: String
    }

    /// Nil for the letters of another group whose topic has the same name.
    func letter(_ record: KafkaRecord) -> Letter? {
        let text = { (name: String) in record.headers.last(name).map { String(decoding: $0, as: UTF8.self) } }
        let topic = text(DeadLetterHeaders.topic)
        if let owner = text(KafkaHeaders.owner) {
            guard owner == names.owner else { return nil }
        } else if let topic, topic != names.topic {
            return nil
        }
        let partition = DeadLetterHeaders.number(record.headers.last(DeadLetterHeaders.partition))
        let offset = DeadLetterHeaders.number(record.headers.last(DeadLetterHeaders.offset))
        guard let topic, let partition, let offset else {
            return Letter(record: record, id: "\(record.topic)-\(record.partition)@\(record.offset)")
        }
        return Letter(record: record, id: "\(topic)-\(partition)@\(offset)")
    }

    func view(_ letter: Letter) -> DeadLetter {
        var plain = letter.record
        plain.headers = Self.withoutFailure(plain.headers)
        let time = letter.record.timestamp
        plain.timestamp = DeadLetterHeaders.number(letter.record.headers.last(DeadLetterHeaders.timestamp)) ?? time
        var reader = KafkaHeaderReader()
        var envelope = plain.envelope(&reader, embeddedHeaders: configuration.readsEmbeddedHeaders)
        if plain.headers.last(KafkaHeaders.id) == nil { envelope.id = letter.id }
        envelope.headers[KafkaHeaders.owner] = nil
        let text = { (name: String) in letter.record.headers.last(name).map { String(decoding: $0, as: UTF8.self) } }
        return DeadLetter(
            id: letter.id, envelope: envelope,
            reason: FailureReason(message: text(DeadLetterHeaders.message) ?? "", kind: text(DeadLetterHeaders.kind) ?? "error"),
            attempts: text(DeadLetterHeaders.attempts).flatMap { Int($0) } ?? 1, time: time)
    }

    /// What is to be sent so that the group gets the event again, and nobody else.
    func replay(_ letter: Letter) -> OutgoingRecord {
        var headers = Self.withoutFailure(letter.record.headers)
        headers.append(KafkaHeaders.owner, names.owner)
        return OutgoingRecord(
            topic: names.retries, partition: nil, key: letter.record.key, value: letter.record.value,
            timestamp: DeadLetterHeaders.number(letter.record.headers.last(DeadLetterHeaders.timestamp)) ?? -1, headers: headers,
            pending: PendingRecord(limit: configuration.publishLimit))
    }

    /// What is to be sent so that a letter stays when all that lies before it goes.
    func copy(_ letter: Letter) -> OutgoingRecord {
        OutgoingRecord(
            topic: names.deadLetters, partition: letter.record.partition, key: letter.record.key, value: letter.record.value,
            timestamp: letter.record.timestamp, headers: letter.record.headers, pending: PendingRecord(limit: configuration.publishLimit))
    }

    /// Which letters must be written again so that these can go, and below which offsets all goes then.
    static func removal(of chosen: [Letter], among all: [Letter], topic: String) -> (kept: [Letter], below: [PartitionOffset]) {
        var below: [Int32: Int64] = [:]
        for letter in chosen { below[letter.record.partition] = max(below[letter.record.partition] ?? 0, letter.record.offset + 1) }
        let gone = Set(chosen.map { TopicOffset(partition: $0.record.partition, offset: $0.record.offset) })
        let kept = all.filter { letter in
            letter.record.offset < below[letter.record.partition] ?? 0
                && !gone.contains(TopicOffset(partition: letter.record.partition, offset: letter.record.offset))
        }
        let order = below.sorted { $0.key < $1.key }.map {
            PartitionOffset(place: TopicPartition(topic: topic, partition: $0.key), offset: $0.value)
        }
        return (kept, order)
    }

    private struct TopicOffset: Hashable {
        var partition: Int32
        var offset: Int64
    }

    private static func withoutFailure(_ headers: RecordHeaders) -> RecordHeaders {
        var plain = RecordHeaders()
        headers.forEach { name, value in
            let text = String(decoding: name, as: UTF8.self)
            if !DeadLetterHeaders.all.contains(text), text != KafkaHeaders.owner { plain.append(name: name, value: value) }
        }
        return plain
    }
}
