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

    var form: DeadLetterForm { DeadLetterForm(names: names, configuration: configuration) }

    /// The letters of this group, oldest first; all of them, since those of one partition are not older than those of another.
    func read() throws(BinderError) -> [DeadLetterForm.Letter] {
        do throws(KafkaFailure) {
            guard let count = try admin.partitions(of: names.deadLetters) else {
                throw KafkaFailure(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, names.deadLetters)
            }
            let places = (0..<Int32(count)).map { TopicPartition(topic: names.deadLetters, partition: $0) }
            let (low, high) = (try admin.offsets(.earliest, of: places), try admin.offsets(.latest, of: places))
            let filled = places.filter { high[$0] ?? 0 > low[$0] ?? 0 }
            guard !filled.isEmpty else { return [] }
            let records = try records(filled.map { ($0, low[$0] ?? 0, high[$0] ?? 0) })
            return records.compactMap(form.letter).sorted {
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

    func records(_ ranges: [(place: TopicPartition, low: Int64, high: Int64)]) throws(KafkaFailure) -> [KafkaRecord] {
        let settings = configuration.consumer(group: KafkaNames.nobody) + [("enable.partition.eof", "true")]
        let client: KafkaConsumerClient
        do throws(BinderError) { client = try KafkaConsumerClient(settings, wakeUp: nil, route: configuration.route) } catch {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__INVALID_ARG, error.message)
        }
        client.learn(names.deadLetters)
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
}
