import Locking
import Synchronization
import Telemetry

/// What a server counts, without a lock on the way of an answer; handed to `Metrics` when they are read.
final class ServerCounters: Sendable {
    let open = Atomic<Int>(0)
    let tasks = Atomic<Int>(0)
    let overLimit = Atomic<Int>(0)
    private let answers = [AtomicCount(), AtomicCount(), AtomicCount(), AtomicCount(), AtomicCount(), AtomicCount()]
    private let cuts = ConnectionState.Cut.allCases.map { ($0, AtomicCount()) }

    private final class AtomicCount: Sendable {
        let value = Atomic<Int>(0)
        let reported = Atomic<Int>(0)

        /// What was added since the last call.
        func takeNew() -> Int {
            let now = value.load(ordering: .relaxed)
            return now - reported.exchange(now, ordering: .relaxed)
        }
    }
    private let overLimitReported = Atomic<Int>(0)

    func answered(_ status: UInt32) { answers[Int(status / 100) % 6].value.add(1, ordering: .relaxed) }
    func cut(_ reason: ConnectionState.Cut) { cuts.first { $0.0 == reason }?.1.value.add(1, ordering: .relaxed) }

    /// Registers a reader that brings `metrics` up to date before each output.
    func publish(to metrics: Metrics) {
        metrics.read { [self] metrics in
            metrics.gauge(
                "carillon_http_open_connections", [:], Double(open.load(ordering: .relaxed)),
                help: "Connections of clients that are open now.")
            for (index, count) in answers.enumerated() where index > 0 {
                metrics.count(
                    "carillon_http_requests_total", ["status": "\(index)xx"], by: Double(count.takeNew()),
                    help: "Requests answered, by class of status.")
            }
            let help = "Connections that the server cut, by reason."
            for (reason, count) in cuts {
                metrics.count("carillon_http_cut_connections_total", ["reason": reason.rawValue], by: Double(count.takeNew()), help: help)
            }
            let refused = overLimit.load(ordering: .relaxed)
            let new = refused - overLimitReported.exchange(refused, ordering: .relaxed)
            metrics.count("carillon_http_cut_connections_total", ["reason": "limit"], by: Double(new), help: help)
        }
    }
}
