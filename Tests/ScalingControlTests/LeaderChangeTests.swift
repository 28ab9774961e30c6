import Autoscaler
import Lifecycle
import LocalBinder
import Locking
import ScalingControl
import Streams
import TestSupport
import Testing

/// Always needs more instances than it gets: every decision that was told is an order.
private final class HungryTarget: ScalingTarget {
    let name = "hungry"
    let orders = Locked<[ScaleOrder]>([])
    func observe() async throws(TargetError) -> TargetObservation { TargetObservation(InstanceCount(desired: 1, ready: 1, starting: 0)) }
    func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        orders.withLock { $0.append(order) }
        return .applied(reference: nil)
    }
}

/// Two servers with the same policy and workers over one broker.
private final class TwoServers: Sendable {
    struct Made: Sendable {
        var server: Int
        var term: Int
        var seq: Int
        var time: Double
    }
    let clock = ManualClock()
    let target = HungryTarget()
    let engines: [ScalingEngine]
    /// In the order that they were made in.
    let made = Locked<[Made]>([])
    /// While it is true, no time goes by.
    let isHeld = Locked(false)
    /// How often two were seen to lead at once.
    let doubles = Locked(0)

    init(over binders: [any Binder]) {
        let source = FakeSource()
        source.set("orders", backlog: 30000, published: 1000)
        let policy = Bench.policy(poll: 0.03)
        engines = (0..<2).map { [clock, target] index in
            var configuration = ScalingEngine.Configuration()
            configuration.server = "server-\(index)"
            configuration.isShared = true
            configuration.beat = .milliseconds(20)
            configuration.poll = 0.03
            return ScalingEngine(
                [PlannedPolicy(policy, queues: [.init(source: 0, queue: 0)], target: target)],
                sources: [AskedSource(source, queues: ["orders"])], ledger: Ledger(folder: nil), binder: binders[index % binders.count],
                configuration: configuration, clock: clock.clock)
        }
        for (index, engine) in engines.enumerated() {
            engine.observe { [weak self] view in
                guard let self, let last = view.last else { return }
                made.withLock { $0.append(Made(server: index, term: view.term, seq: last.seq, time: last.time)) }
            }
        }
    }

    var leader: Int? { engines.indices.first { engines[$0].term != nil } }
    var orders: [ScaleOrder] { target.orders.withLock { $0 } }

    /// Runs both for as long as `body` takes; it gets the life and the task of each.
    func run(_ body: ([ServiceLife], [Task<Void, any Error>]) async throws -> Void) async throws {
        // Time goes on as fast as this process gets to do something, so that a busy machine makes nobody look as if it had gone.
        let ticking = Task {
            while !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(5))
                if !isHeld.withLock({ $0 }) { clock.advance(0.02) }
                if engines.allSatisfy({ $0.term != nil }) { doubles.withLock { $0 += 1 } }
            }
        }
        let lives = engines.map { _ in ServiceLife() }
        let tasks = engines.indices.map { index in Task { try await engines[index].run(lives[index]) } }
        let result: Result<Void, any Error>
        do { result = .success(try await body(lives, tasks)) } catch { result = .failure(error) }
        for life in lives { life.shutdown.request() }
        for task in tasks { _ = await task.result }
        ticking.cancel()
        try result.get()
    }

    /// Waits until one leads and the other one follows close behind; returns who leads.
    func settled() async throws -> Int {
        try await eventually(within: .seconds(120), "one leads and has ordered often") { orders.count > 70 }
        let first = try #require(leader)
        #expect(engines[1 - first].term == nil)
        try await eventually(within: .seconds(120), "the other one follows") {
            try engines[1 - first].view(of: "orders").last?.seq ?? 0 > 60
        }
        return first
    }

    /// What holds whatever happened: one leader for each term and at any time, and no number ordered twice or behind a later one.
    func check() {
        #expect(doubles.withLock { $0 } == 0)
        let made = made.withLock { $0 }
        let leaders = Dictionary(grouping: made, by: \.term).mapValues { Set($0.map(\.server)) }
        #expect(leaders.values.allSatisfy { $0.count == 1 })
        let orders = orders
        #expect(zip(orders, orders.dropFirst()).allSatisfy { $0.seq < $1.seq && $0.term <= $1.term })
    }

    /// Every decision that had an effect stands in the history of `server`, as it was made.
    func checkHistory(of server: Int, behind first: Int = 0) async throws {
        let history = try await engines[server].decisions(of: "orders", from: 0, to: .infinity, limit: .max)
        let bySeq = Dictionary(history.map { ($0.seq, $0) }, uniquingKeysWith: { first, _ in first })
        #expect(bySeq.count == history.count)
        let made = made.withLock { $0 }
        let last = history.last?.seq ?? 0
        #expect(last > first)
        for order in orders where order.seq > first && order.seq <= last {
            let one = try #require(made.first { $0.term == order.term && $0.seq == order.seq })
            #expect(bySeq[order.seq]?.time == one.time, "decision \(order.seq) of term \(order.term)")
            #expect(bySeq[order.seq]?.desired == order.count)
        }
    }
}

/// Decisions go on where the leader before stopped.
@Suite(.serialized, .timeLimit(.minutes(10))) struct LeaderChangeTests {
    enum Ending: String, CaseIterable, Sendable { case orderly, cancelled, cutOff }

    /// Ends the server that leads, and looks at what the other one goes on with. `lines`: what keeps the binders connected.
    private func change(over binders: [any Binder], lines: [Task<Void, any Error>] = [], _ ending: Ending) async throws {
        let servers = TwoServers(over: binders)
        try await servers.run { lives, tasks in
            let first = try await servers.settled()
            let other = servers.engines[1 - first]
            switch ending {
            case .orderly:
                lives[first].shutdown.request()
                try await tasks[first].value
            case .cancelled:
                tasks[first].cancel()
                _ = await tasks[first].result
            case .cutOff: lines[first].cancel()
            }
            try await eventually(within: .seconds(120), "the other one leads") { other.term != nil }
            let count = servers.orders.count
            try await eventually(within: .seconds(120), "and its decisions have effect") { servers.orders.count > count + 20 }
            #expect(servers.engines[first].term == nil)
            try await servers.checkHistory(of: 1 - first)
        }
        servers.check()
        let made = servers.made.withLock { $0 }
        #expect(Set(made.map(\.term)).count == 2)
        // Who is cut off decides until it notices, with no effect. Else: every number once, none left out.
        if ending != .cutOff { #expect(made.map(\.seq) == Array(1...made.count)) }
    }

    @Test(arguments: [Ending.orderly, .cancelled]) func anotherServerGoesOnBehindTheLastDecision(_ ending: Ending) async throws {
        try await change(over: [LocalBinder()], ending)
    }

    /// The one that led before was the only one who had heard its last decisions: it tells whoever claims to lead next.
    @Test func whatOnlyTheLeaderBeforeKnewIsNotDecidedAgain() async throws {
        let bench = Bench()
        bench.source.set("orders", backlog: 300, published: 1000)
        try await withTemporaryFolder { folder in
            do {
                let before = bench.engine([(Bench.policy(poll: 0.1), FakeTarget())], ledger: folder)
                try await before.open()
                for _ in 0..<5 {
                    bench.clock.advance(5)
                    await before.round()
                }
            }
            let probe = Ledger(folder: folder)
            try await eventually("the ledger is free") { (try? await probe.open(boot: "test")) != nil }
            await probe.close()
            let engines = ["a", "b"].map { name in
                bench.engine([(Bench.policy(poll: 0.1), FakeTarget())], ledger: name == "b" ? folder : nil) {
                    $0.server = name
                    $0.isShared = true
                    $0.beat = .milliseconds(20)
                    $0.poll = 0.1
                    // The one that knows never claims.
                    if name == "b" { $0.leaderLimit = 1_000_000 }
                }
            }
            let first = Locked<Int?>(nil)
            engines[0].observe { view in first.withLock { $0 = $0 ?? view.last?.seq } }
            let ticking = Task {
                while !Task.isCancelled {
                    try await Task.sleep(for: .milliseconds(5))
                    bench.clock.advance(0.02)
                }
            }
            let lives = engines.map { _ in ServiceLife() }
            let tasks = engines.indices.map { index in Task { try await engines[index].run(lives[index]) } }
            let result: Result<Void, any Error>
            do { result = .success(try await eventually("it decides") { first.withLock { $0 } != nil }) } catch { result = .failure(error) }
            for life in lives { life.shutdown.request() }
            for task in tasks { try await task.value }
            ticking.cancel()
            try result.get()
            #expect(first.withLock { $0 } == 6)
        }
    }

    /// Two binders that are connected.
    private func connected(
        _ broker: SharedBroker, _ body: (SharedBroker.Running, [any Binder], [Task<Void, any Error>]) async throws -> Void
    ) async throws {
        try await broker.with { running in
            let binders = try (0..<2).map { _ in try running.binder() }
            let life = ServiceLife()
            let lines = binders.map { binder in Task { try await binder.run(life) } }
            let result: Result<Void, any Error>
            do {
                try await eventually(within: .seconds(120), "both are connected") { binders.allSatisfy { $0.readiness.isReady } }
                result = .success(try await body(running, binders, lines))
            } catch { result = .failure(error) }
            life.shutdown.request()
            for line in lines { _ = await line.result }
            try result.get()
        }
    }

    @Test(.enabled(if: !SharedBroker.here.isEmpty, "\(SharedBroker.whyNone)"), arguments: SharedBroker.here, Ending.allCases)
    func theSameOver(_ broker: SharedBroker, _ ending: Ending) async throws {
        try await connected(broker) { _, binders, lines in try await change(over: binders, lines: lines, ending) }
    }

    @Test(.enabled(if: !SharedBroker.here.isEmpty, "\(SharedBroker.whyNone)"), arguments: SharedBroker.here)
    func decisionsGoOnWhenTheBrokerIsBack(_ broker: SharedBroker) async throws {
        try await connected(broker) { running, binders, _ in
            let servers = TwoServers(over: binders)
            try await servers.run { _, _ in
                _ = try await servers.settled()
                try await running.kill()
                try await eventually(within: .seconds(120), "nobody leads without a broker") { servers.leader == nil }
                let count = servers.orders.count
                let seq = servers.made.withLock { $0.last?.seq ?? 0 }
                // Both come back before one of them claims, however slow this machine is.
                servers.isHeld.withLock { $0 = true }
                try await running.start()
                try await eventually(within: .seconds(120), "both are connected again") { binders.allSatisfy { $0.readiness.isReady } }
                servers.isHeld.withLock { $0 = false }
                try await eventually(within: .seconds(180), "decisions have effect again") { servers.orders.count > count + 20 }
                let leader = try #require(servers.leader)
                let last = servers.made.withLock { $0.last?.seq ?? 0 }
                try await eventually(within: .seconds(120), "the other one follows") {
                    try servers.engines[1 - leader].view(of: "orders").last?.seq ?? 0 > last
                }
                try await servers.checkHistory(of: leader, behind: seq)
                // What came over the new connection is made again as it was: both remember the same.
                let histories = try await histories(of: servers, behind: last - 20)
                #expect(!histories[0].isEmpty)
                for (seq, decision) in histories[0] { if let other = histories[1][seq] { #expect(decision == other) } }
            }
            servers.check()
            let made = servers.made.withLock { $0 }
            #expect(made.map(\.seq) == Array(1...made.count))
        }
    }

    private func histories(of servers: TwoServers, behind seq: Int) async throws -> [[Int: Decision]] {
        var histories: [[Int: Decision]] = []
        for engine in servers.engines {
            let all = try await engine.decisions(of: "orders", from: 0, to: .infinity, limit: .max)
            histories.append(Dictionary(all.filter { $0.seq > seq }.map { ($0.seq, $0) }, uniquingKeysWith: { first, _ in first }))
        }
        return histories
    }
}
