import Binders
import Foundation
import Lifecycle
import Streams
import Telemetry

/// One side of one round, in a process of its own: prints rate, median, 99 %, processor time, memory, and the latencies one by one.
enum BrokerSide {
    static let role = "--broker-side"

    static func main(_ arguments: [String]) async {
        guard arguments.count == 5, let kind = BrokerKind(rawValue: arguments[1]), let count = Int(arguments[4]) else { return }
        do {
            if arguments[0] == "raw" {
                try await report(RawSide(kind: kind, uri: arguments[2], name: arguments[3]), count: count)
            } else {
                try await report(OurSide(uri: arguments[2], name: arguments[3]), count: count)
            }
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
        }
    }

    private static func report(_ side: some MeasuredSide, count: Int) async throws {
        try await side.prepared { round in
            _ = try await round(max(500, count / 10), BrokerBenchmark.inFlight)
            let many = try await round(count, BrokerBenchmark.inFlight)
            let memory = peakMemory
            let single = try await round(max(200, count / 20), 1)
            print(many.rate, many.quantile(0.5), many.quantile(0.99), many.processor, memory, single.quantile(0.5), single.quantile(0.99))
            fflush(nil)
        }
    }

    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Processor time of this process in seconds.
    static var processorTime: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The most memory that this process had resident, in MB.
    private static var peakMemory: Double {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? .nan) / 1024
    }
}

/// What was measured with one number of publishes in flight.
struct SideResult: Sendable {
    let rate: Double
    /// Seconds of processor time for a million events.
    let processor: Double
    private let sorted: [UInt64]

    init(count: Int, seconds: Double, processor: Double, latencies: [UInt64]) {
        sorted = latencies.sorted()
        rate = Double(count) / seconds
        self.processor = processor / Double(count) * 1e6
    }

    /// Milliseconds that this part of the events took at most.
    func quantile(_ part: Double) -> Double {
        sorted.isEmpty ? .nan : Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]) / 1e6
    }
}

/// Something that can do a round of so many events with so many in flight.
protocol MeasuredSide: Sendable {
    func prepared(_ body: (_ round: (Int, Int) async throws -> SideResult) async throws -> Void) async throws
}

private struct RawSide: MeasuredSide {
    let kind: BrokerKind
    let uri: String
    let name: String

    func prepared(_ body: (_ round: (Int, Int) async throws -> SideResult) async throws -> Void) async throws {
        try await body { count, inFlight in
            let before = BrokerSide.processorTime
            let (seconds, latencies) = kind.rawLoop(
                uri, name: name, count: count, inFlight: inFlight, length: BrokerBenchmark.length)
            guard seconds > 0 else { throw BenchmarkFailure("the raw loop on \(kind.rawValue) failed") }
            return SideResult(
                count: count, seconds: seconds, processor: BrokerSide.processorTime - before, latencies: latencies)
        }
    }
}

private struct OurSide: MeasuredSide {
    let uri: String
    let name: String

    func prepared(_ body: (_ round: (Int, Int) async throws -> SideResult) async throws -> Void) async throws {
        let binder = try BinderURI(uri).binder(log: .silent)
        let destination = try Destination(name)
        let group = try ConsumerGroup("workers")
        let shutdown = ShutdownSignal()
        let started = ShutdownSignal()
        let run = Task { try await binder.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() })) }
        await started.wait()
        let result: Result<Void, any Error>
        do {
            try await binder.prepare(group: group, of: destination)
            try await body { count, inFlight in
                try await Self.round(binder, destination, group, count: count, inFlight: inFlight)
            }
            result = .success(())
        } catch { result = .failure(error) }
        shutdown.request()
        try await run.value
        try result.get()
    }

    /// Away from the main actor that a program starts on: its queue costs more than the work.
    @concurrent private static func round(
        _ binder: any Binder, _ destination: Destination, _ group: ConsumerGroup, count: Int, inFlight: Int
    ) async throws -> SideResult {
        let options = SubscriptionOptions(prefetch: 250)
        return try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
            let before = BrokerSide.processorTime
            let begin = BrokerSide.now
            var latencies: [UInt64] = []
            latencies.reserveCapacity(count)
            // One event at a time: the next one is published when this one is done, so that no queue is measured.
            if inFlight == 1 {
                while latencies.count < count {
                    async let published: Void = publish(1, by: 1, to: destination, binder)
                    guard let delivery = try await deliveries.next() else { break }
                    latencies.append(BrokerSide.now - Self.moment(of: delivery.envelope.payload))
                    try await delivery.accept()
                    try await published
                }
                return SideResult(
                    count: count, seconds: Double(BrokerSide.now - begin) / 1e9, processor: BrokerSide.processorTime - before,
                    latencies: latencies)
            }
            let publishing = Task { try await publish(count, by: inFlight, to: destination, binder) }
            while latencies.count < count, let delivery = try await deliveries.next() {
                latencies.append(BrokerSide.now - Self.moment(of: delivery.envelope.payload))
                try await delivery.accept()
            }
            try await publishing.value
            return SideResult(
                count: count, seconds: Double(BrokerSide.now - begin) / 1e9, processor: BrokerSide.processorTime - before,
                latencies: latencies)
        }
    }

    /// When it was published, as its first eight bytes tell.
    private static func moment(of payload: [UInt8]) -> UInt64 {
        payload.count < 8 ? BrokerSide.now : payload.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }

    /// From as many tasks as publishes are to be in flight, each waiting for its confirm.
    private static func publish(_ count: Int, by publishers: Int, to destination: Destination, _ binder: any Binder) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for publisher in 0..<publishers {
                tasks.addTask {
                    for _ in 0..<(count / publishers + (publisher < count % publishers ? 1 : 0)) {
                        var payload = [UInt8](repeating: 0, count: BrokerBenchmark.length)
                        payload.withUnsafeMutableBytes { $0.storeBytes(of: BrokerSide.now, as: UInt64.self) }
                        _ = try await binder.publish(Envelope(payload: payload, contentType: "application/octet-stream"), to: destination)
                    }
                }
            }
            while try await tasks.next() != nil {}
        }
    }
}
