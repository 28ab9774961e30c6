import BacklogSources
import Streams
import Testing

@Suite struct OldestAgesTests {
    private let start = ContinuousClock.now

    private func progress(_ committed: Int, end: Int, partition: String = "0") -> PartitionProgress {
        PartitionProgress(partition: partition, committed: committed, backlog: end - committed)
    }

    @Test func `the age is that of the first sight of what waits now`() {
        var ages = OldestAges()
        func at(_ second: Int, _ committed: Int, end: Int) -> Double? {
            ages.note([progress(committed, end: end)], at: start + .seconds(second))
        }
        #expect(at(0, 10, end: 10) == nil)
        #expect(at(5, 10, end: 20) == 0)
        #expect(at(10, 10, end: 30) == 5)
        #expect(at(15, 19, end: 30) == 10)
        // The first ten are done: what came until 10 s is the oldest now.
        #expect(at(20, 20, end: 30) == 10)
        #expect(at(25, 30, end: 30) == nil)
        #expect(at(30, 30, end: 31) == 0)
    }

    @Test func `of several partitions the oldest counts, and one that was made anew begins anew`() {
        var ages = OldestAges()
        _ = ages.note([progress(0, end: 5, partition: "a"), progress(0, end: 5, partition: "b")], at: start)
        #expect(ages.note([progress(5, end: 9, partition: "a"), progress(1, end: 9, partition: "b")], at: start + .seconds(10)) == 10)
        #expect(ages.note([progress(0, end: 2, partition: "b")], at: start + .seconds(20)) == 0)
    }

    @Test func `the age of a long backlog is never too long, and hardly too short`() {
        var ages = OldestAges()
        var wrong: [String] = []
        for reading in 0..<20_000 {
            // Arrives at one a second, and is done a thousand seconds later.
            let age = ages.note([progress(max(0, reading - 1000), end: reading + 1)], at: start + .seconds(reading))
            let real = Double(min(reading, 1000))
            if (age ?? -1) > real || (age ?? -1) < real * 0.95 - 2 { wrong.append("\(reading): \(age ?? -1)") }
        }
        #expect(wrong.isEmpty, "\(wrong.prefix(5))")
    }
}
