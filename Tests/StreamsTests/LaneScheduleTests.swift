import TestSupport
import Testing

@testable import Streams

@Suite struct LaneScheduleTests {
    @Test func `whatever happens, no more than the width run, keys keep their order, nothing is lost`() {
        for seed in 0..<200 {
            var generator = SplitMix(state: UInt64(seed))
            let width = Int.random(in: 1...4, using: &generator)
            var schedule = LaneSchedule<Int>(width: width)
            var running: [LaneSchedule<Int>.Entry] = []
            var started: [Int] = []
            var keys: [Int: String] = [:]
            var added = 0
            for _ in 0..<300 {
                if Bool.random(using: &generator) {
                    let key = Int.random(in: 0...4, using: &generator)
                    if key > 0 { keys[added] = "k\(key)" }
                    schedule.add(added, key: keys[added])
                    added += 1
                } else if let index = running.indices.randomElement(using: &generator) {
                    schedule.finish(running.remove(at: index))
                }
                while let entry = schedule.start() {
                    running.append(entry)
                    started.append(entry.item)
                }
                #expect(running.count <= width)
                let runningKeys = running.compactMap(\.key)
                #expect(Set(runningKeys).count == runningKeys.count)
                #expect(schedule.count >= running.count)
            }
            while !running.isEmpty {
                schedule.finish(running.removeFirst())
                while let entry = schedule.start() {
                    running.append(entry)
                    started.append(entry.item)
                }
            }
            #expect(started.sorted() == Array(0..<added))
            for key in Set(keys.values) {
                let ofKey = started.filter { keys[$0] == key }
                #expect(ofKey == ofKey.sorted())
            }
            #expect(schedule.count == 0)
        }
    }

    @Test func `what has not been started can be taken out`() {
        var schedule = LaneSchedule<Int>(width: 1)
        for item in 0..<4 { schedule.add(item, key: item < 2 ? "a" : nil) }
        let first = schedule.start()
        #expect(first?.item == 0)
        #expect(Set(schedule.removeWaiting()) == [1, 2, 3])
        #expect(schedule.count == 1)
        if let first { schedule.finish(first) }
        #expect(schedule.start()?.item == nil)
    }
}
