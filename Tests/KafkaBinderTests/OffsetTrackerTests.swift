import TestSupport
import Testing

@testable import KafkaBinder

@Suite struct OffsetTrackerTests {
    @Test func `what is committed is the lowest offset that is not done, whatever the order`() {
        var tracker = OffsetTracker(start: 10)
        #expect(tracker.committable == 10)
        for offset in Int64(10)..<15 {
            #expect(tracker.arrived(offset, now: 0) == .deliver)
            #expect(tracker.handOut(offset) == 1)
        }
        #expect(tracker.done(12) && tracker.done(10))
        #expect(tracker.committable == 11)
        #expect(tracker.committableNotes.text == "carillon:1r1,1d,2r1")
        #expect(!tracker.done(10) && !tracker.done(12) && !tracker.done(99))
        #expect(tracker.done(11) == true)
        #expect(tracker.committable == 13)
        #expect(tracker.done(13) && tracker.done(14))
        #expect(tracker.committable == 15)
        #expect(tracker.committableNotes.text == "")
    }

    @Test func `a retry counts an attempt, what nobody has seen does not, and neither can be settled meanwhile`() {
        var tracker = OffsetTracker(start: nil)
        #expect(tracker.committable == nil)
        #expect(tracker.arrived(5, now: 0) == .deliver)
        #expect(!tracker.done(5) && !tracker.retry(5, due: 0))
        #expect(tracker.handOut(5) == 1)
        #expect(tracker.retry(5, due: 900) == true)
        #expect(!tracker.done(5) && !tracker.retry(5, due: 0))
        #expect(tracker.committableNotes.text == "carillon:1r1@900")
        #expect(tracker.handOut(5) == 2)
        #expect(tracker.retry(5, due: 0, counting: false) == true)
        #expect(tracker.handOut(5) == 2)
        #expect(tracker.done(5) == true)
        #expect(tracker.committable == 6)
    }

    @Test func `the next member goes on with what the notes say`() {
        var first = OffsetTracker(start: 100)
        for offset in Int64(100)..<106 { _ = first.arrived(offset, now: 0) }
        for offset in Int64(100)..<104 { _ = first.handOut(offset) }
        _ = first.done(101)
        _ = first.retry(102, due: 5000)
        let text = first.committableNotes.text
        var next = OffsetTracker(start: first.committable, notes: OffsetNotes(base: first.committable ?? 0, text: text))
        #expect(next.arrived(100, now: 1000) == .deliver)
        #expect(next.handOut(100) == 2)
        #expect(next.arrived(101, now: 1000) == .skip)
        #expect(next.arrived(102, now: 1000) == .hold(until: 5000))
        #expect(next.arrived(103, now: 1000) == .deliver)
        #expect(next.handOut(103) == 2)
        #expect(next.arrived(104, now: 1000) == .deliver)
        #expect(next.handOut(104) == 1)
        // What was not reached yet still holds for a third one.
        var early = OffsetTracker(start: 100, notes: OffsetNotes(base: 100, text: text))
        _ = early.arrived(100, now: 0)
        #expect(OffsetNotes(base: 100, text: early.committableNotes.text).count(now: 1000) == (done: 1, inHand: 2, delayed: 1))
    }

    @Test func `offsets that are left out are done, and those that came before are skipped`() {
        var tracker = OffsetTracker(start: 0)
        for offset: Int64 in [3, 7, 8, 20] {
            #expect(tracker.arrived(offset, now: 0) == .deliver)
            _ = tracker.handOut(offset)
        }
        #expect(tracker.arrived(7, now: 0) == .skip)
        #expect(tracker.isBehind(7) == true && tracker.isBehind(21) == false)
        #expect(tracker.committable == 3)
        #expect(tracker.done(8) && tracker.done(3))
        #expect(tracker.committable == 7)
        #expect(tracker.committableNotes.text == "carillon:1r1,12d,1r1")
        #expect(tracker.done(7) == true)
        #expect(tracker.committable == 20)
    }

    @Test func `no order of settlements loses an offset or tells one twice`() {
        var generator = SplitMix(state: 11)
        for _ in 0..<300 {
            var tracker = OffsetTracker(start: 0)
            var open: Set<Int64> = []
            var offset: Int64 = 0
            for _ in 0..<Int.random(in: 1...80, using: &generator) {
                offset += Int64.random(in: 1...3, using: &generator)
                #expect(tracker.arrived(offset, now: 0) == .deliver)
                open.insert(offset)
            }
            let all = open
            for one in all.shuffled(using: &generator) {
                _ = tracker.handOut(one)
                if Bool.random(using: &generator) {
                    #expect(tracker.retry(one, due: 0) == true)
                    _ = tracker.handOut(one)
                }
                #expect(tracker.done(one) == true)
                open.remove(one)
                #expect(tracker.committable == open.min() ?? offset + 1)
                // A member that starts from what was committed gets what is open and nothing else.
                let base = tracker.committable ?? 0
                var next = OffsetTracker(start: base, notes: OffsetNotes(base: base, text: tracker.committableNotes.text))
                let again = all.filter { $0 >= base }.sorted().filter { next.arrived($0, now: 0) == .deliver }
                #expect(Set(again) == open)
            }
        }
    }

    @Test(arguments: [
        "", "x", "carillon:", "carillon:d", "carillon:0d", "carillon:-1d", "carillon:1x", "carillon:1r", "carillon:1r-1",
        "carillon:99999999999999999999d", "carillon:1d,,",
    ])
    func `notes of others are no notes`(_ text: String) {
        var notes = OffsetNotes(base: 0, text: text)
        #expect(text == "carillon:1d,," || notes.state(of: 0) == nil)
    }

    @Test func `notes never outgrow what Kafka keeps, and what is cut off is only handed out again`() {
        var notes = OffsetNotes(base: 0)
        for index in 0..<3000 { notes.append(index.isMultiple(of: 2) ? .open(seen: 1, due: 0) : .done, count: 1) }
        #expect(notes.text.utf8.count <= 4000)
        let back = OffsetNotes(base: 0, text: notes.text)
        #expect(back.runs == Array(notes.runs.prefix(back.runs.count)))
        #expect(back.runs.count > 500)
    }
}
