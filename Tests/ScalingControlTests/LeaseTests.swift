import ScalingControl
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

    @Test func aBeatThatComesBackLateIsNoLease() throws {
        var cluster = Cluster(["a", "b"])
        cluster.seconds(40)
        let first = cluster.leaders[0]
        // Frozen right after a beat, which waits in its connection.
        let late = cluster.servers[first].beat(at: cluster.now, wall: 1000 + cluster.now)
        var frozen = cluster.servers[first]
        cluster.cut = [first]
        cluster.seconds(40)
        #expect(cluster.leaders == [1 - first])
        frozen.heard(late, at: cluster.now)
        #expect(frozen.leads(at: cluster.now) == nil)
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
