import Foundation

/// Events of 1 KiB from publish to delivery: each binder beside a raw loop in C on the same broker.
///
/// Publishes are confirmed, deliveries acknowledged, on both sides alike. Each round runs in a process of its own, so that processor time and
/// memory are those of one side alone. The brokers are private ones and take most of a small machine: processor time is what a binder costs,
/// whatever the broker does.
struct BrokerBenchmark: Comparison {
    let name = "broker"
    let summary = "events of 1 KiB from publish to delivery by each binder, beside raw librabbitmq, librdkafka and hiredis in C"

    static let length = 1024
    static let inFlight = 250

    func run(_ settings: BenchmarkSettings) async throws -> [Measure] {
        var measures: [Measure] = []
        for kind in BrokerKind.allCases where settings.brokers.isEmpty || settings.brokers.contains(kind.rawValue) {
            // One that cannot be measured here takes nothing from the others.
            do {
                guard let broker = try kind.start(settings) else { continue }
                defer { broker.stop() }
                measures += try Self.compare(kind, broker, settings)
            } catch { settings.note("\(error)") }
        }
        guard !measures.isEmpty else { throw BenchmarkFailure("no broker could be measured") }
        return measures
    }

    private static func compare(_ kind: BrokerKind, _ broker: BenchmarkBroker, _ settings: BenchmarkSettings) throws -> [Measure] {
        let count = settings.isQuick ? kind.count / 8 : kind.count
        var ours: [BrokerRound] = []
        var raw: [BrokerRound] = []
        for round in 0..<settings.rounds {
            if kind.hasRawLoop { raw.append(try BrokerRound(of: kind, isRaw: true, broker, name: "raw\(round)", count: count)) }
            ours.append(try BrokerRound(of: kind, isRaw: false, broker, name: "ours\(round)", count: count))
        }
        func measure(_ what: String, _ unit: String, _ value: (BrokerRound) -> Double, isRate: Bool = false) -> Measure {
            Measure(
                what: "\(kind.rawValue), \(what)", unit: unit, ours: ours.map(value), raw: raw.map(value), higherIsBetter: isRate,
                aim: isRate ? kind.aim : nil)
        }
        return [
            measure("\(inFlight) in flight", "events/s", \.rate, isRate: true),
            measure("\(inFlight) in flight, median", "ms", \.median),
            measure("\(inFlight) in flight, 99 %", "ms", \.p99),
            measure("processor time of a million", "s", \.processor),
            measure("resident memory", "MB", \.memory),
            measure("one by one, median", "ms", \.singleMedian),
            measure("one by one, 99 %", "ms", \.singleP99),
        ]
    }
}

/// What one side did in one round, as its process has told.
struct BrokerRound {
    /// Events a second.
    let rate: Double
    /// Milliseconds from publish to delivery.
    let median: Double
    let p99: Double
    /// Seconds of processor time for a million events.
    let processor: Double
    /// MB at the most.
    let memory: Double
    /// The same with one event at a time.
    let singleMedian: Double
    let singleP99: Double

    init(of kind: BrokerKind, isRaw: Bool, _ broker: BenchmarkBroker, name: String, count: Int) throws {
        let side = isRaw ? "raw" : "ours"
        let process = try PinnedProcess([BrokerSide.role, side, kind.rawValue, broker.uri, name, "\(count)"])
        defer { process.end() }
        let numbers = process.firstLine().split(separator: " ").compactMap { Double($0) }
        guard numbers.count == 7 else { throw BenchmarkFailure("\(kind.rawValue): the round of \(side) failed") }
        rate = numbers[0]
        median = numbers[1]
        p99 = numbers[2]
        processor = numbers[3]
        memory = numbers[4]
        singleMedian = numbers[5]
        singleP99 = numbers[6]
    }
}
