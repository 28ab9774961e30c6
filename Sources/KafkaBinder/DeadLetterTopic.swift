import CRDKafka
import Streams

/// The topic of a group's dead letters, read and changed by hand. Every call blocks: only on threads of our own.
///
/// Kafka deletes from a topic only what is below an offset. Letters that are to stay and lie there are written again, at the end, before the old
/// ones go; so they keep their names, which is why a letter is called after the place of the event that it was.
struct DeadLetterTopic {
    let names: KafkaNames
    let configuration: KafkaConfiguration
    let admin: KafkaAdmin

    struct Letter {
        var record: KafkaRecord
        var id: String
    }

    /// The letters of this group, oldest first; all of them, since those of one partition are not older than those of another.
    func read() throws(BinderError) -> [Letter] {
        do throws(KafkaFailure) {
            guard let count = try admin.partitions(of: names.deadLetters) else {
                throw KafkaFailure(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, names.deadLetters)
            }
            let places = (0..<Int32(count)).map { TopicPartition(topic: names.deadLetters, partition: $0) }
            let (low, high) = (try admin.offsets(.earliest, of: places), try admin.offsets(.latest, of: places))
            let filled = places.filter { high[$0] ?? 0 > low[$0] ?? 0 }
            guard !filled.isEmpty else { return [] }
            let records = try records(filled.map { ($0, low[$0] ?? 0, high[$0] ?? 0) })
            return records.compactMap(letter).sorted {
                ($0.record.timestamp, $0.record.partition, $0.record.offset) < ($1.record.timestamp, $1.record.partition, $1.record.offset)
            }
        } catch {
            guard !error.isUnknownTopic else {
                throw BinderError(
                    .invalid,
                    "\(names.topic) has no group \(names.group ?? "") that keeps dead letters: there is no topic \(names.deadLetters)")
            }
            throw error.binderError
        }
    }

    private func records(_ ranges: [(place: TopicPartition, low: Int64, high: Int64)]) throws(KafkaFailure) -> [KafkaRecord] {
        let settings = configuration.consumer(group: KafkaNames.nobody, prefetch: 1000) + [("enable.partition.eof", "true")]
        let client: KafkaConsumerClient
        do throws(BinderError) { client = try KafkaConsumerClient(settings, wakeUp: nil) } catch {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__INVALID_ARG, error.message)
        }
        try client.assign(ranges.map { PartitionOffset(place: $0.place, offset: $0.low) })
        var open = Dictionary(uniqueKeysWithValues: ranges.map { ($0.place.partition, $0.high) })
        var records: [KafkaRecord] = []
        let limit = configuration.publishLimit.nanoseconds
        var end = Monotonic.now + limit
        while !open.isEmpty {
            let came = client.nextRecord(within: .milliseconds(100)) { event in
                if rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH {
                    while let message = rd_kafka_event_message_next(event) {
                        let partition = message.pointee.partition
                        guard let high = open[partition] else { continue }
                        if message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR {
                            if message.pointee.err == RD_KAFKA_RESP_ERR__PARTITION_EOF { open[partition] = nil }
                            continue
                        }
                        if message.pointee.offset < high { records.append(KafkaRecord(message, topic: names.deadLetters)) }
                        if message.pointee.offset >= high - 1 { open[partition] = nil }
                    }
                } else if rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__PARTITION_EOF, let place = rd_kafka_event_topic_partition(event)
                {
                    open[place.pointee.partition] = nil
                    rd_kafka_topic_partition_destroy(place)
                }
            }
            let now = Monotonic.now
            if came { end = now + limit }
            guard now < end else { throw KafkaFailure(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: "reading \(names.deadLetters)") }
        }
        return records
    }

    /// Nil for the letters of another group whose topic has the same name.
    private func letter(_ record: KafkaRecord) -> Letter? {
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
