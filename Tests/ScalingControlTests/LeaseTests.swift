import Autoscaler
import Lifecycle
import LocalBinder
import Locking
import RedisBinder
import ScalingControl
import Streams
import TestSupport
import Testing

/// Who leads, as a value: beats in, terms out.
struct LeaseStateTests {
    /// Servers on one broker that carries every beat at once, or not at all to those that are cut off.
    private struct Cluster {
        var servers: [LeaseState]
        var cut: Set<Int> = []
        var now = 0.0

        init(_ names: [String]) { servers = names.map { LeaseState(server: $0, limit: 8, term: 0, now: 0) } }

        mutating func second() {
            now += 1
            for index in servers.indices {
                let beat = servers[index].beat(at: now, wall: 1000 + now)
                guard !cut.contains(index) else { continue }
                for other in servers.indices where !cut.contains(other) { servers[other].heard(beat, at: now) }
            }
        }
        mutating func seconds(_ count: Int, _ check: (Cluster) -> Void = { _ in }) {
            for _ in 0..<count {
                second()
                check(self)
            }
        }
        var leaders: [Int] { servers.indices.filter { servers[$0].leads(at: now) != nil } }
    }

    @Test func oneOfThreeLeadsAndNeverTwo() {
        var cluster = Cluster(["b", "a", "c"])
        cluster.seconds(40) { #expect($0.leaders.count <= 1) }
        #expect(cluster.leaders.count == 1)
        #expect(cluster.servers.allSatisfy { $0.leaderName == cluster.servers[cluster.leaders[0]].server })
    }

    @Test func aLeaderThatIsCutOffStopsBeforeAnotherBegins() {
        var cluster = Cluster(["a", "b"])
        cluster.seconds(40)
        let first = cluster.leaders[0]
        let term = cluster.servers[first].leads(at: cluster.now) ?? 0
        cluster.cut = [first]
        cluster.seconds(40) { #expect($0.leaders.count <= 1) }
        #expect(cluster.leaders == [1 - first])
        #expect(cluster.servers[1 - first].leads(at: cluster.now) ?? 0 > term)
        // Back again it follows.
        cluster.cut = []
        cluster.seconds(40) { #expect($0.leaders == [1 - first]) }
    }

    @Test func whoLeavesIsReplacedWithoutWaiting() {
        var cluster = Cluster(["a", "b"])
        cluster.seconds(40)
        let first = cluster.leaders[0]
        if let last = cluster.servers[first].leave() { cluster.servers[1 - first].heard(last, at: cluster.now) }
        cluster.cut = [first]
        cluster.seconds(6)
        #expect(cluster.leaders == [1 - first])
    }

    @Test func twoThatClaimAtOnceAgree() {
        for names in [["a", "b"], ["b", "a"]] {
            var cluster = Cluster(names)
            cluster.cut = [0, 1]
            cluster.seconds(30)
            #expect(cluster.leaders.isEmpty)
            cluster.cut = []
            cluster.seconds(40) { #expect($0.leaders.count <= 1) }
            #expect(cluster.leaders.count == 1)
        }
    }

    @Test func termsOnlyRiseAndNeverHaveTwoLeadersWhateverIsCutOff() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<50 {
            var cluster = Cluster(["a", "b", "c"])
            var byTerm: [Int: Int] = [:]
            var highest = 0
            for _ in 0..<300 {
                if Int.random(in: 0..<12, using: &random) == 0 {
                    cluster.cut = Set((0..<3).filter { _ in Int.random(in: 0..<3, using: &random) == 0 })
                }
                cluster.second()
                #expect(cluster.leaders.count <= 1)
                for leader in cluster.leaders {
                    let term = cluster.servers[leader].leads(at: cluster.now) ?? 0
                    #expect(byTerm[term] ?? leader == leader)
                    byTerm[term] = leader
                    #expect(term >= highest)
                    highest = max(highest, term)
                }
            }
            #expect(!byTerm.isEmpty)
        }
    }
}

struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// Two engines over one broker: decisions go on where the other one stopped.
struct LeaderChangeTests {
    /// Runs two servers with the same policy and workers, ends the one that leads, and looks at what the other goes on with.
    static func changeLeader(over binders: [any Binder], orderly: Bool) async throws {
        let target = FakeTarget()
        let source = FakeSource()
        target.set(1)
        source.set("orders", backlog: 300, published: 1000)
        let told = Locked<[(term: Int, seq: Int)]>([])
        let policy = Bench.policy(poll: 0.1)
        func engine(_ index: Int) -> ScalingEngine {
            var configuration = ScalingEngine.Configuration()
            configuration.server = "server-\(index)"
            configuration.isShared = true
            configuration.beat = .milliseconds(20)
            configuration.poll = 0.1
            return ScalingEngine(
                [PlannedPolicy(policy, queues: [.init(source: 0, queue: 0)], target: target)],
                sources: [AskedSource(source, queues: ["orders"])], ledger: Ledger(folder: nil), binder: binders[index % binders.count],
                configuration: configuration, clock: clock.clock)
        }
        // Time goes on as fast as this process gets to do something, so that a busy machine makes nobody look as if it had gone.
        let clock = ManualClock()
        let ticking = Task {
            while !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(5))
                clock.advance(0.02)
            }
        }
        defer { ticking.cancel() }
        let engines = [engine(0), engine(1)]
        for one in engines {
            one.observe { [weak one] view in
                guard let term = one?.term, let last = view.last else { return }
                told.withLock { $0.append((term, last.seq)) }
            }
        }
        let lives = [ServiceLife(), ServiceLife()]
        try await withThrowingTaskGroup(of: Int.self) { group in
            var tasks: [Task<Void, any Error>] = []
            for index in engines.indices { tasks.append(Task { try await engines[index].run(lives[index]) }) }
            defer { for task in tasks { task.cancel() } }
            try await eventually("one leads and has decided often") { told.withLock { $0.count } > 70 }
            let first = try #require(engines.indices.first { engines[$0].term != nil })
            let other = engines[1 - first]
            #expect(other.term == nil)
            try await eventually("the other one follows") { try other.view(of: "orders").last?.seq ?? 0 > 60 }
            if orderly {
                lives[first].shutdown.request()
                try await tasks[first].value
            } else {
                tasks[first].cancel()
                _ = await tasks[first].result
            }
            let last = told.withLock { $0.last?.seq ?? 0 }
            try await eventually("the other one leads") { other.term != nil }
            try await eventually("and decides") { told.withLock { $0.last?.seq ?? 0 } > last + 10 }
            lives[1 - first].shutdown.request()
            try await tasks[1 - first].value
            group.cancelAll()
        }
        let all = told.withLock { $0 }
        // Every number once, none left out, in terms that rise.
        #expect(all.map(\.seq) == Array(1...all.count))
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.term <= $1.term })
        #expect(Set(all.map(\.term)).count == 2)
    }

    @Test(arguments: [true, false]) func anotherServerGoesOnBehindTheLastDecision(orderly: Bool) async throws {
        try await Self.changeLeader(over: [LocalBinder()], orderly: orderly)
    }

    @Test(.enabled(if: RedisServer.isInstalled, Comment(rawValue: RedisServer.whyNot)), arguments: [true, false])
    func theSameOverRedis(orderly: Bool) async throws {
        try await RedisServer.with { server in
            let binders = try (0..<2).map { _ in RedisBinder(configuration: try RedisConfiguration(uri: server.uri)) }
            let life = ServiceLife()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for binder in binders { group.addTask { try await binder.run(life) } }
                try await eventually("both are connected") { binders.allSatisfy { $0.readiness.isReady } }
                try await Self.changeLeader(over: binders, orderly: orderly)
                life.shutdown.request()
                try await group.waitForAll()
            }
        }
    }
}
