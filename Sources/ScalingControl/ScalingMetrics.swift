internal import Autoscaler
internal import Locking
internal import Telemetry

extension ScalingEngine {
    /// What is seen from outside, read when it is asked for; unknown is absent.
    func report(to metrics: Metrics) {
        let steady = clock.steady()
        metrics.gauge("carillon_scaling_leading", [:], term == nil ? 0 : 1, help: "Whether this server is the one that decides.")
        for view in views {
            let labels = ["policy": view.policy.name]
            metrics.gauge(
                "carillon_scaling_backlog_messages", labels, view.backlog, help: "Waiting and in hand; absent while it is unknown.")
            metrics.gauge("carillon_scaling_oldest_seconds", labels, view.oldest, help: "How long the oldest message has waited.")
            metrics.gauge("carillon_scaling_arrivals_per_second", labels, view.arrivals, help: "Messages that come in a second.")
            metrics.gauge(
                "carillon_scaling_desired_instances", labels, view.last.map { Double($0.desired) }, help: "Instances that are wanted.")
            metrics.gauge(
                "carillon_scaling_ready_instances", labels, view.last?.current.map { Double($0.ready) },
                help: "Instances that are ready; absent while the orchestrator does not answer.")
            metrics.gauge(
                "carillon_scaling_promise_kept", labels, view.isPromiseKept.map { $0 ? 1 : 0 },
                help: "1 while no message waits longer than was promised, else 0; absent while it is unknown.")
            metrics.gauge(
                "carillon_scaling_reading_age_seconds", labels, view.readAt.map { max(0, steady - $0) },
                help: "How long ago the queues of the policy were read.")
        }
        for index in plans.indices {
            let (counts, errors) = slots[index].withLock { slot in
                defer {
                    slot.counts = [:]
                    slot.sourceErrors = 0
                }
                return (slot.counts, slot.sourceErrors)
            }
            let policy = plans[index].policy.name
            for outcome in Decision.Outcome.allCases {
                metrics.count(
                    "carillon_scaling_decisions_total", ["policy": policy, "outcome": outcome.rawValue], by: Double(counts[outcome] ?? 0),
                    help: "Decisions by outcome.")
            }
            metrics.count(
                "carillon_scaling_source_errors_total", ["policy": policy], by: Double(errors),
                help: "Readings of queues that told nothing.")
        }
    }
}
