import CRDKafka
import Streams
import TestSupport
import ThreadExecutor

@testable import KafkaBinder

/// Records as they are on the broker, read and written without the binder.
enum RawKafka {
    /// All records of a topic, by partition and offset.
    static func read(_ topic: String, _ server: KafkaServer) async throws -> [KafkaRecord] {
        let settings = try configuration(server)
        return try await onThread {
            let admin = try KafkaAdmin(settings)
            guard let count = try admin.partitions(of: topic) else { return [] }
            let places = (0..<Int32(count)).map { TopicPartition(topic: topic, partition: $0) }
            let (low, high) = (try admin.offsets(.earliest, of: places), try admin.offsets(.latest, of: places))
            let filled = places.filter { high[$0] ?? 0 > low[$0] ?? 0 }
            if filled.isEmpty { return [] }
            let names = try KafkaNames(Destination(topic), nil, .group)
            return try DeadLetterTopic(names: names, configuration: settings, admin: admin)
                .records(filled.map { ($0, low[$0] ?? 0, high[$0] ?? 0) }).sorted { ($0.partition, $0.offset) < ($1.partition, $1.offset) }
        }
    }

    /// Writes a record byte by byte as it is given.
    static func write(_ record: KafkaRecord, partition: Int32? = nil, by binder: KafkaBinder) async throws {
        _ = try await binder.producer.send(
            OutgoingRecord(
                topic: record.topic, partition: partition, key: record.key, value: record.value, timestamp: record.timestamp,
                headers: record.headers, pending: PendingRecord(limit: .seconds(30))))
    }

    static func admin<R: Sendable>(_ server: KafkaServer, _ body: @escaping @Sendable (KafkaAdmin) throws -> R) async throws -> R {
        let settings = try configuration(server)
        return try await onThread { try body(try KafkaAdmin(settings)) }
    }

    private static func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        let executor = ThreadExecutor(name: "raw-kafka")
        defer { executor.stop() }
        return try await executor.run(body)
    }
}
