import CBenchmark
import Foundation
import Lifecycle
import LocalBinder
import RabbitMQBinder
import Streams

/// Events of 1 KiB from publish to delivery: the RabbitMQ binder beside a raw librabbitmq loop in C on the same broker, and the embedded broker.
///
/// Publishes are confirmed, deliveries acknowledged, on both sides alike. The broker is a private one and takes most of both cores, so the
/// processor time of our own process is measured too: it is what the binder costs, whatever the broker does.
struct BrokerBenchmark: Comparison {
    let name = "broker"
    let summary = "events of 1 KiB from publish to delivery beside a raw librabbitmq loop in C, and the embedded broker"

    private static let length = 1024
    private static let inFlight = 250

    func run(_ settings: BenchmarkSettings) async throws -> [Measure] {
        let count = settings.isQuick ? 5_000 : 40_000
        let broker = try PrivateBroker()
        defer { broker.remove() }
        let destination = try Destination("bench")
        let group = try ConsumerGroup("workers")
        var ours: [Round] = []
        var raw: [Round] = []
        var oursOne: [Round] = []
        var rawOne: [Round] = []
        var configuration = try RabbitMQConfiguration(uri: broker.uri)
        configuration.inFlight = Self.inFlight
        try await Self.running(RabbitMQBinder(configuration: configuration)) { binder in
            try await binder.prepare(group: group, of: destination)
            _ = try await Self.round(binder, destination, group, count: 2000, inFlight: Self.inFlight)
            for _ in 0..<settings.rounds {
                raw.append(try await Self.rawRound(broker.port, destination, group, count: count, inFlight: Self.inFlight))
                ours.append(try await Self.round(binder, destination, group, count: count, inFlight: Self.inFlight))
                rawOne.append(try await Self.rawRound(broker.port, destination, group, count: count / 20, inFlight: 1))
                oursOne.append(try await Self.round(binder, destination, group, count: count / 20, inFlight: 1))
            }
        }
        var local: [Round] = []
        try await Self.running(LocalBinder()) { binder in
            try await binder.prepare(group: group, of: destination)
            for _ in 0..<settings.rounds {
                local.append(try await Self.round(binder, destination, group, count: count * 2, inFlight: Self.inFlight))
            }
        }
        return [
            Measure(what: "RabbitMQ, 250 in flight", unit: "events/s", ours: ours.map(\.rate), raw: raw.map(\.rate), aim: 0.9),
            Measure(
                what: "RabbitMQ, 250 in flight, own processor time", unit: "µs", ours: ours.map(\.processor), raw: raw.map(\.processor),
                higherIsBetter: false),
            Measure(
                what: "RabbitMQ, 250 in flight, median latency", unit: "ms", ours: ours.map(\.median), raw: raw.map(\.median),
                higherIsBetter: false),
            Measure(
                what: "RabbitMQ, 250 in flight, 99 % latency", unit: "ms", ours: ours.map(\.p99), raw: raw.map(\.p99), higherIsBetter: false
            ),
            Measure(
                what: "RabbitMQ, one by one, median latency", unit: "ms", ours: oursOne.map(\.median), raw: rawOne.map(\.median),
                higherIsBetter: false),
            Measure(
                what: "RabbitMQ, one by one, 99 % latency", unit: "ms", ours: oursOne.map(\.p99), raw: rawOne.map(\.p99),
                higherIsBetter: false),
            Measure(what: "embedded broker, 250 in flight", unit: "events/s", ours: local.map(\.rate)),
            Measure(what: "embedded broker, 250 in flight, median latency", unit: "ms", ours: local.map(\.median), higherIsBetter: false),
            Measure(what: "embedded broker, 250 in flight, 99 % latency", unit: "ms", ours: local.map(\.p99), higherIsBetter: false),
        ]
    }

    private struct Round {
        /// Events a second.
        let rate: Double
        /// Milliseconds from publish to delivery.
        let median: Double
        let p99: Double
        /// Microseconds of processor time of this process for each event.
        let processor: Double

        init(count: Int, seconds: Double, processor: Double, latencies: [UInt64]) {
            let sorted = latencies.sorted()
            rate = Double(count) / seconds
            median = sorted.isEmpty ? .nan : Double(sorted[sorted.count / 2]) / 1e6
            p99 = sorted.isEmpty ? .nan : Double(sorted[min(sorted.count - 1, sorted.count * 99 / 100)]) / 1e6
            self.processor = processor / Double(count) * 1e6
        }
    }

    private static func rawRound(
        _ port: Int, _ destination: Destination, _ group: ConsumerGroup, count: Int, inFlight: Int
    ) async throws -> Round {
        let before = processorTime
        let queue = "\(destination.name).\(group.name)"
        let (seconds, latencies) = await withCheckedContinuation { continuation in
            Thread.detachNewThread { @Sendable in
                var latencies = [UInt64](repeating: 0, count: count)
                let seconds = latencies.withUnsafeMutableBufferPointer {
                    carillon_broker_loop(Int32(port), destination.name, queue, Int32(count), Int32(inFlight), length, $0.baseAddress)
                }
                continuation.resume(returning: (seconds, latencies))
            }
        }
        guard seconds > 0 else { throw BenchmarkFailure("the raw loop on RabbitMQ failed") }
        return Round(count: count, seconds: seconds, processor: processorTime - before, latencies: latencies)
    }

    /// Away from the main actor that a benchmark starts on: its queue costs more than the work.
    @concurrent private static func round(
        _ binder: some Binder, _ destination: Destination, _ group: ConsumerGroup, count: Int, inFlight: Int
    ) async throws -> Round {
        let options = SubscriptionOptions(prefetch: 250)
        return try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
            let before = processorTime
            let begin = now
            let publishing = Task { try await publish(count, by: inFlight, to: destination, binder) }
            var latencies: [UInt64] = []
            latencies.reserveCapacity(count)
            while latencies.count < count, let delivery = try await deliveries.next() {
                let sent = delivery.envelope.payload.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
                latencies.append(now - sent)
                try await delivery.accept()
            }
            try await publishing.value
            return Round(count: count, seconds: Double(now - begin) / 1e9, processor: processorTime - before, latencies: latencies)
        }
    }

    /// From as many tasks as publishes are to be in flight, each waiting for its confirm.
    private static func publish(_ count: Int, by publishers: Int, to destination: Destination, _ binder: some Binder) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for publisher in 0..<publishers {
                tasks.addTask {
                    for _ in 0..<(count / publishers + (publisher < count % publishers ? 1 : 0)) {
                        var payload = [UInt8](repeating: 0, count: length)
                        payload.withUnsafeMutableBytes { $0.storeBytes(of: now, as: UInt64.self) }
                        _ = try await binder.publish(Envelope(payload: payload, contentType: "application/octet-stream"), to: destination)
                    }
                }
            }
            try await tasks.waitForAll()
        }
    }

    private static func running(_ binder: some Binder, _ body: (any Binder) async throws -> Void) async throws {
        let shutdown = ShutdownSignal()
        let started = ShutdownSignal()
        let run = Task { try await binder.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() })) }
        await started.wait()
        let result: Result<Void, any Error>
        do { result = .success(try await body(binder)) } catch { result = .failure(error) }
        shutdown.request()
        try await run.value
        try result.get()
    }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Processor time of this process in seconds.
    private static var processorTime: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// A RabbitMQ for the benchmark alone, from `deploy/rabbitmq`.
private struct PrivateBroker {
    let uri: String
    let port: Int
    private let folder: String
    private static let script = URL(filePath: #filePath).appending(path: "../../../deploy/rabbitmq").standardized.path

    init() throws {
        folder = NSTemporaryDirectory() + "/carillon-benchmark-\(ProcessInfo.processInfo.processIdentifier)"
        do {
            uri = try Self.run(["start", folder])
        } catch {
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
        port = Int(uri.split(separator: ":").last?.prefix { $0.isNumber } ?? "") ?? 0
    }

    func remove() {
        _ = try? Self.run(["stop", folder])
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func run(_ arguments: [String]) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: script)
        process.arguments = arguments
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw BenchmarkFailure("deploy/rabbitmq \(arguments[0]) failed") }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
