import BacklogSources
import Streams
import Testing

@Suite struct StuckPartitionsTests {
    private let start = ContinuousClock.now

    private func progress(_ committed: Int, backlog: Int, partition: String = "0") -> PartitionProgress {
        PartitionProgress(partition: partition, committed: committed, backlog: backlog)
    }

    @Test func `a partition that stands still for the time is stuck, however often it was looked at`() {
        var stuck = StuckPartitions(limit: .seconds(300))
        for second in 0..<300 {
            #expect(stuck.note([progress(7, backlog: 3)], members: 2, at: start + .seconds(second)).isEmpty)
        }
        #expect(stuck.note([progress(7, backlog: 9)], members: 2, at: start + .seconds(300)) == ["0"])
    }

    @Test func `one that moves, is empty or has nobody to work on it is not stuck`() {
        var stuck = StuckPartitions(limit: .seconds(300))
        let all = [
            progress(1, backlog: 5, partition: "moves"), progress(1, backlog: 0, partition: "empty"),
            progress(1, backlog: 5, partition: "stands"),
        ]
        _ = stuck.note(all, members: 1, at: start)
        var later = all
        later[0].committed = 2
        #expect(stuck.note(later, members: 1, at: start + .seconds(600)) == ["stands"])
        #expect(stuck.note(later, members: 0, at: start + .seconds(700)).isEmpty)
        #expect(stuck.note(later, members: nil, at: start + .seconds(800)).isEmpty)
        // The time begins when somebody is there to work.
        #expect(stuck.note(later, members: 1, at: start + .seconds(900)).isEmpty)
        #expect(stuck.note(later, members: 1, at: start + .seconds(1200)) == ["moves", "stands"])
    }

    @Test func `an offset that is set back is a movement`() {
        var stuck = StuckPartitions(limit: .seconds(10))
        _ = stuck.note([progress(9, backlog: 1)], members: 1, at: start)
        #expect(stuck.note([progress(2, backlog: 8)], members: 1, at: start + .seconds(20)).isEmpty)
        #expect(stuck.note([progress(2, backlog: 8)], members: 1, at: start + .seconds(30)) == ["0"])
    }
}
