import Autoscaler
import Lifecycle
import LocalBinder
import Locking
import ScalingControl
import Streams
import Telemetry
import TestSupport
import Testing

/// What instances report and the business says, what is told of it outside, and how instances are asked to drain.
struct InputTests {
    let bench = Bench()
    let target = FakeTarget()

    private func report(_ instance: String, cpu: Double, drains: Bool = false) -> Envelope {
        Envelope(
            payload: Array(
                #"{"type":"autoscale.report","policy":"orders","instance":"\#(instance)","drains":\#(drains),"resources":{"cpu":\#(cpu)}}"#
                    .utf8))
    }

    @Test func theMeanOfWhatInstancesReportCountsUntilItIsTooOld() async throws {
        target.set(2)
        let engine = bench.engine([
            (Bench.policy(conditions: [.resource(ResourceCondition(name: "cpu", target: 0.5))]), target)
        ])
        try await engine.open()
        bench.source.set("orders", backlog: 0, published: 0)
        await engine.take(report("orders-1", cpu: 0.9))
        await engine.take(report("orders-2", cpu: 0.7))
        await engine.round()
        let decision = try #require(try engine.view(of: "orders").last)
        #expect(decision.input("resource cpu")?.value == 0.8)
        #expect(decision.conditions.last?.desired == 4)
        bench.clock.advance(61)
        await engine.round()
        #expect(try engine.view(of: "orders").last?.input("resource cpu")?.value == nil)
        #expect(try engine.view(of: "orders").last?.outcome == .hold)
    }

    @Test func fewerReportsThanHalfOfThoseReadyAreNone() {
        var reports = ResourceReports(limit: 60)
        reports.take(policy: "orders", instance: "a", ["cpu": 0.2], at: 0)
        #expect(reports.reading(of: "cpu", policy: "orders", ready: 2, at: 1).value == 0.2)
        #expect(reports.reading(of: "cpu", policy: "orders", ready: 3, at: 1).value == nil)
        #expect(reports.reading(of: "memory", policy: "orders", ready: 1, at: 1).value == nil)
    }

    @Test func aParameterComesFromTheSettingsAndFromTheBus() async throws {
        target.set(1)
        let rule = ParameterCondition(name: "factor", rule: .amount(share: 10))
        let engine = bench.engine([(Bench.policy(conditions: [.parameter(rule)]), target)]) { $0.parameters = ["factor": 30] }
        try await engine.open()
        bench.source.set("orders", backlog: 0, published: 0)
        await engine.round()
        #expect(target.orders.last?.count == 3)
        #expect(engine.tell(parameter: "factor", "80"))
        #expect(!engine.tell(parameter: "other", "80"))
        bench.clock.advance(5)
        await engine.round()
        #expect(target.orders.last?.count == 8)
        engine.tell(parameter: "factor", "nonsense")
        bench.clock.advance(5)
        await engine.round()
        #expect(try engine.view(of: "orders").last?.outcome == .hold)
        engine.tell(parameter: "factor", "")
        bench.clock.advance(5)
        await engine.round()
        #expect(try engine.view(of: "orders").last?.input("parameter factor")?.value == 30)
    }

    @Test func instancesThatTakePartAreWaitedForUntilTheyHaveDrained() async throws {
        let engine = bench.engine([(Bench.policy(), target)])
        try await engine.open()
        // Nobody takes part: nobody is waited for.
        await engine.drain(policy: "orders", instances: ["orders-9"], deadline: .seconds(600))
        await engine.take(report("orders-1", cpu: 0.1, drains: true))
        await engine.take(report("orders-2", cpu: 0.1, drains: true))
        try await withThrowingTaskGroup(of: Void.self) { group in
            let asked = ShutdownSignal()
            group.addTask {
                try await bench.binder.withSubscription(to: ScalingEvents.reports, group: nil, options: SubscriptionOptions()) {
                    deliveries in
                    asked.request()
                    guard let delivery = try await deliveries.next() else { return }
                    let text = String(decoding: delivery.envelope.payload, as: UTF8.self)
                    #expect(text.contains("autoscale.drain"))
                    #expect(text.contains(#"["orders-1","orders-2"]"#))
                    try await delivery.accept()
                    for instance in ["orders-1", "orders-2"] {
                        await engine.take(Envelope(payload: Array(#"{"type":"autoscale.drained","instance":"\#(instance)"}"#.utf8)))
                    }
                }
            }
            await asked.wait()
            let drained = await engine.drain(policy: "orders", instances: ["orders-1", "orders-2", "orders-3"], deadline: .seconds(600))
            #expect(drained == ["orders-1", "orders-2"])
            try await group.waitForAll()
        }
    }

    @Test func metricsTellWhatIsKnownAndLeaveOutWhatIsNot() async throws {
        target.set(1)
        let metrics = Metrics()
        let source = bench.source
        let engine = ScalingEngine(
            [PlannedPolicy(Bench.policy(), queues: [.init(source: 0, queue: 0)], target: target)],
            sources: [AskedSource(source, queues: ["orders"])], ledger: Ledger(folder: nil), binder: bench.binder, clock: bench.clock.clock,
            metrics: metrics)
        try await engine.open()
        source.set(
            "orders", QueueReport(QueueReading(backlog: Reading(7), published: Reading(7), oldest: Reading(90))))
        await engine.round()
        var text = metrics.prometheusText
        #expect(text.contains("carillon_scaling_backlog_messages{policy=\"orders\"} 7\n"))
        #expect(text.contains("carillon_scaling_oldest_seconds{policy=\"orders\"} 90\n"))
        #expect(text.contains("carillon_scaling_promise_kept{policy=\"orders\"} 0\n"))
        #expect(text.contains("carillon_scaling_ready_instances{policy=\"orders\"} 1\n"))
        #expect(text.contains("carillon_scaling_leading 1\n"))
        source.set("orders", .unknown("away"))
        bench.clock.advance(5)
        await engine.round()
        text = metrics.prometheusText
        #expect(!text.contains("carillon_scaling_backlog_messages{"))
        #expect(!text.contains("carillon_scaling_promise_kept{"))
        #expect(text.contains("carillon_scaling_source_errors_total{policy=\"orders\"} 1\n"))
        #expect(text.contains("carillon_scaling_decisions_total{outcome=\"hold\",policy=\"orders\"} 2\n"))
        #expect(text.contains("carillon_scaling_reading_age_seconds{policy=\"orders\"} 0\n"))
    }

    @Test func aPolicyThatAsksForOneQueueTwiceHasOneErrorWhenItIsUnknown() async throws {
        target.set(1)
        let metrics = Metrics()
        let source = bench.source
        let policy = Bench.policy(conditions: [.queue(QueueCondition(destination: "orders", objective: .drain(300)))])
        let queue = PlannedPolicy.QueueNumber(source: 0, queue: 0)
        let engine = ScalingEngine(
            [PlannedPolicy(policy, queues: [queue, queue], target: target)], sources: [AskedSource(source, queues: ["orders"])],
            ledger: Ledger(folder: nil), binder: bench.binder, clock: bench.clock.clock, metrics: metrics)
        try await engine.open()
        source.set("orders", .unknown("away"))
        await engine.round()
        #expect(metrics.prometheusText.contains("carillon_scaling_source_errors_total{policy=\"orders\"} 1\n"))
    }

    @Test func alertsAreToldOnceWhenTheyBeginAndOnceWhenTheyEnd() {
        var book = AlertBook()
        #expect(book.update([.stuck: "orders[3]"]) == [.init(.stuck, "orders[3]")])
        #expect(book.update([.stuck: "orders[3]"]).isEmpty)
        #expect(book.update([.stuck: "orders[4]", .source: "away"]) == [.init(.stuck, "orders[4]"), .init(.source, "away")])
        #expect(book.update([:]) == [.init(.stuck, nil), .init(.source, nil)])
        // Reasons that take turns are told once each, until it is over; the one of now is there to be asked for.
        let first = ["refused", "silent", "refused", "silent"].map { book.update([.source: $0]) }
        #expect(first == [[.init(.source, "refused")], [.init(.source, "silent")], [], []])
        #expect(book.open == [.source: "silent"])
        #expect(book.update([:]) == [.init(.source, nil)])
        #expect(book.update([.source: "refused"]) == [.init(.source, "refused")])
        let many = (0..<100).flatMap { book.update([.source: "attempt \($0)"]) }
        #expect(many.count < 10)
    }

    @Test func aPromiseThatThePolicyDoesNotLetItKeepIsTold() async throws {
        target.set(1)
        let engine = bench.engine([(Bench.policy(max: 3), target)])
        try await engine.open()
        for step in 0..<3 {
            bench.source.set("orders", backlog: Double(step * 5000), published: Double(step * 5000))
            await engine.round()
            bench.clock.advance(5)
        }
        #expect(try engine.view(of: "orders").alerts[.infeasible]?.contains("more than the 3 instances") == true)
    }
}
