import Telemetry

/// What happened since the last time the metrics were read.
struct LocalCounts: Sendable {
    var published = 0
    var delivered = 0
    var accepted = 0
    var retried = 0
    var rejected = 0
    var deadLettersDropped = 0
    var rejectedForGood = 0

    mutating func count(_ outcome: GroupState.Outcome, _ result: GroupState.Settled) {
        guard result != .stale else { return }
        switch outcome {
        case .accept: accepted += 1
        case .retry: retried += 1
        case .unseen: delivered -= 1
        case .reject(let reason, _, _):
            rejected += 1
            if reason == nil { rejectedForGood += 1 }
        }
        if case .dead(let dropped) = result { deadLettersDropped += dropped }
    }

    mutating func take() -> LocalCounts {
        defer { self = LocalCounts() }
        return self
    }

    func report(to metrics: Metrics) {
        metrics.count("carillon_local_published_total", by: Double(published), help: "Events that the embedded broker has taken.")
        metrics.count(
            "carillon_local_delivered_total", by: Double(max(0, delivered)), help: "Events that the embedded broker has handed out.")
        for (outcome, count) in [("accept", accepted), ("retry", retried), ("reject", rejected)] {
            metrics.count("carillon_local_settled_total", ["outcome": outcome], by: Double(count), help: "Deliveries settled, by outcome.")
        }
        metrics.count(
            "carillon_local_dropped_total", ["what": "dead-letter"], by: Double(deadLettersDropped),
            help: "Dead letters over the bound and rejected events without dead letters: gone for good.")
        metrics.count(
            "carillon_local_dropped_total", ["what": "rejected"], by: Double(rejectedForGood),
            help: "Dead letters over the bound and rejected events without dead letters: gone for good.")
    }
}
