import CBenchmark
import Foundation

/// The brokers that are measured.
enum BrokerKind: String, CaseIterable, Sendable {
    /// Embedded, in memory.
    case local
    /// Embedded, with its log in a file.
    case durable
    /// The event channels of another Carillon over HTTP, which has the embedded broker in memory.
    case http
    case rabbitmq
    case redis
    case kafka

    /// Events of one round.
    var count: Int {
        switch self {
        case .local: 200_000
        case .durable, .http: 20_000
        case .rabbitmq, .redis, .kafka: 40_000
        }
    }

    var hasRawLoop: Bool { [.rabbitmq, .redis, .kafka].contains(self) }

    /// The part of the raw loop's rate that is aimed at.
    var aim: Double? { hasRawLoop ? 0.9 : nil }

    /// Starts a private broker. Nil, with a word about it, where it is not to be had.
    func start(_ settings: BenchmarkSettings) throws -> BenchmarkBroker? {
        switch self {
        case .local: return BenchmarkBroker(uri: "local:") {}
        case .durable:
            let folder = try BenchmarkBroker.temporaryFolder()
            return BenchmarkBroker(uri: "local:" + folder) { try? FileManager.default.removeItem(atPath: folder) }
        case .http: return try .channels()
        case .rabbitmq: return try .rabbitMQ()
        case .redis: return try .redis()
        case .kafka:
            if let servers = settings.kafka { return BenchmarkBroker(uri: "kafka://" + servers) {} }
            settings.note("kafka is left out: name a broker by --kafka host:port or $CARILLON_KAFKA")
            return nil
        }
    }

    /// The raw loop in C. Returns seconds, and nanoseconds of latency for each event.
    func rawLoop(_ uri: String, name: String, count: Int, inFlight: Int, length: Int) -> (seconds: Double, latencies: [UInt64]) {
        let place = uri.drop { $0 != ":" }.dropFirst(3)  // behind ://
        let host = place.split(separator: "@").last.map { String($0.prefix { $0 != "/" }) } ?? ""
        let parts = host.split(separator: ":")
        let port = Int32(parts.last ?? "") ?? 0
        var latencies = [UInt64](repeating: 0, count: count)
        let seconds: Double = latencies.withUnsafeMutableBufferPointer { buffer in
            switch self {
            case .rabbitmq: return carillon_rabbitmq_loop(port, name, Int32(count), Int32(inFlight), length, buffer.baseAddress)
            case .redis:
                return carillon_redis_loop(String(parts.first ?? ""), port, name, Int32(count), Int32(inFlight), length, buffer.baseAddress)
            case .kafka: return carillon_kafka_loop(host, name, Int32(count), Int32(inFlight), length, buffer.baseAddress)
            case .local, .durable, .http: return -1
            }
        }
        return (seconds, latencies)
    }
}
