import Autoscaler
import Processes
import TestSupport
import Testing

@testable import Orchestrators

@Suite struct LocalCrewTests {
    private static let timing = WorkerTiming(ready: .seconds(1), drain: .seconds(30), farewell: .seconds(5))

    /// A crew, its clock, and all that it asked for.
    private struct Trial {
        var crew: Crew
        var now = Duration.seconds(1000)
        var random = SplitMix(state: 1)

        init(maximum: Int, ordered: Int = 0) {
            crew = Crew(timing, maximum: maximum)
            if ordered > 0 {
                _ = order(ordered)
                _ = pass(.seconds(2))
            }
        }
        mutating func order(_ count: Int) -> [Crew.Action] { crew.order(count, now: now) + crew.advance(now) }
        mutating func pass(_ time: Duration) -> [Crew.Action] {
            now += time
            return crew.advance(now)
        }
        mutating func end(_ number: Int, _ exit: ProcessExit? = .code(0)) -> [Crew.Action] {
            crew.ended(number, .exit(exit), now: now, using: &random)
            return crew.advance(now)
        }
        var count: [Int] { [crew.observation.count.desired, crew.observation.count.ready, crew.observation.count.starting] }
    }

    @Test func `starts as many as are ordered, ready after a while`() {
        var trial = Trial(maximum: 5)
        #expect(trial.order(3) == [.start(1), .start(2), .start(3)])
        #expect(trial.count == [3, 0, 3] && trial.crew.next == trial.now + .seconds(1))
        #expect(trial.pass(.milliseconds(999)) == [] && trial.count == [3, 0, 3])
        #expect(trial.pass(.milliseconds(1)) == [] && trial.count == [3, 3, 0])
        #expect(trial.crew.next == nil && trial.crew.observation.pending == nil)
        #expect(trial.order(3) == [])
        #expect(trial.order(99) == [.start(4), .start(5)])
        #expect(trial.order(-1) == [.dismiss([1, 2, 3, 4, 5])])
    }

    @Test func `those that start go first, then the youngest, and none of them counts`() {
        var trial = Trial(maximum: 5, ordered: 2)
        _ = trial.order(3)
        _ = trial.pass(.seconds(2))
        _ = trial.order(5)  // 4 and 5 are starting
        #expect(trial.order(2) == [.dismiss([3, 4, 5])])
        #expect(trial.count == [2, 2, 0] && trial.crew.living == 5)
        #expect(trial.pass(.seconds(29)) == [])
        #expect(trial.end(4) == [] && trial.crew.living == 4)
        #expect(trial.pass(.seconds(1)) == [.kill(3), .kill(5)])
        #expect(trial.pass(.seconds(60)) == [] && trial.count == [2, 2, 0])
        #expect(trial.end(3) == [] && trial.end(5, .signal(9)) == [] && trial.crew.workers.keys.sorted() == [1, 2])
    }

    @Test func `new ones wait until those that leave have gone`() {
        var trial = Trial(maximum: 4, ordered: 4)
        #expect(trial.order(1) == [.dismiss([2, 3, 4])])
        #expect(trial.order(3) == [])
        #expect(trial.count == [3, 1, 2])
        #expect(trial.crew.observation.pending == "2 of 3 wait until workers that drain have gone, for no more than 4 may run")
        #expect(trial.end(3) == [.start(5)])
        #expect(trial.end(2) == [.start(6)] && trial.crew.living == 4)
        #expect(trial.end(4) == [] && trial.crew.living == 3 && trial.crew.observation.pending == nil)
        #expect(trial.order(4) == [.start(2)])
    }

    @Test func `one that ends by itself is started again, later each time until it has run well`() {
        var trial = Trial(maximum: 1, ordered: 1)
        var pauses: [Double] = []
        for _ in 0..<10 {
            #expect(trial.end(1, .code(127)) == [])
            #expect(trial.count == [1, 0, 1] && trial.crew.observation.pending == "1 of 1 exited with status 127: command not found?")
            let pause = (trial.crew.next ?? .zero) - trial.now
            pauses.append(pause / .seconds(1))
            #expect(trial.pass(pause - .milliseconds(1)) == [])
            #expect(trial.pass(.milliseconds(1)) == [.start(1)])
        }
        for (index, pause) in pauses.enumerated() {
            let whole = min(Double(2 << index), 60)
            #expect(pause >= whole / 2 && pause <= whole, "pause \(index): \(pause)")
        }
        _ = trial.pass(.seconds(60))
        _ = trial.end(1, nil)
        #expect((trial.crew.next ?? .zero) - trial.now <= .seconds(2))
    }

    @Test func `says what befell those that do not run`() {
        var trial = Trial(maximum: 6, ordered: 6)
        let ends: [ProcessExit?] = [.code(127), .code(127), .code(127), .signal(9), .code(0)]
        for (index, exit) in ends.enumerated() { _ = trial.end(index + 1, exit) }
        #expect(
            trial.crew.observation.pending
                == "3 of 6 exited with status 127: command not found?; 1 of 6 exited with status 0: a worker is to run until it is told to end; 1 of 6 were killed (signal 9): out of memory?"
        )
        trial.crew.startFailed(6, "x cannot be started: no", now: trial.now, using: &trial.random)
        #expect(trial.crew.observation.pending?.contains("1 of 6 cannot be started: x cannot be started: no") == true)
        // Those that do not run go first, and need not be told.
        #expect(trial.order(0) == [] && trial.crew.workers.isEmpty)
    }

    @Test func `one that has nothing in hand is not waited for long`() {
        var trial = Trial(maximum: 2, ordered: 2)
        _ = trial.order(0)
        trial.crew.acknowledged([1], now: trial.now)
        #expect(trial.pass(.seconds(5)) == [.kill(1)])
        trial.crew.acknowledged([2], now: trial.now + .seconds(24))
        #expect(trial.pass(.seconds(25)) == [.kill(2)])
    }

    @Test func `children that outlive their worker hold its place`() {
        var trial = Trial(maximum: 1, ordered: 1)
        trial.crew.orphaned(1, now: trial.now)
        #expect(trial.count == [1, 0, 1] && trial.pass(.seconds(30)) == [.kill(1)])
        #expect(trial.order(0) == [] && trial.order(1) == [])
        #expect(trial.end(1, .code(1)) == [.start(2)])
    }

    @Test func `takes over those of an earlier server, and ends those that are too many`() {
        var crew = Crew(Self.timing, maximum: 3, ordered: 2)
        let now = Duration.seconds(100)
        for number in [2, 3, 7] { crew.adopt(number, started: .seconds(number), leavingUntil: nil, now: now) }
        crew.adopt(5, started: .seconds(5), leavingUntil: .seconds(9000), now: now)
        #expect(crew.settle(now) == [.dismiss([7])])
        #expect(crew.advance(now) == [] && crew.observation.count == InstanceCount(desired: 2, ready: 2, starting: 0))
        #expect(crew.advance(now + .seconds(30)) == [.kill(5), .kill(7)])
        var fewer = Crew(Self.timing, maximum: 3, ordered: 3)
        fewer.adopt(2, started: .zero, leavingUntil: nil, now: now)
        #expect(fewer.settle(now) == [] && fewer.advance(now) == [.start(1), .start(3)])
    }

    /// Whatever happens in whatever order: never more processes than the maximum, as many places as ordered, each told once and killed in time.
    @Test(arguments: 0..<200) func holdsItsBounds(seed: UInt64) {
        var random = SplitMix(state: seed)
        let maximum = Int.random(in: 0...6, using: &random)
        var crew = Crew(Self.timing, maximum: maximum)
        var now = Duration.seconds(500)
        var alive: Set<Int> = []
        var told: [Int: Duration] = [:]
        func take(_ actions: [Crew.Action]) {
            for action in actions {
                switch action {
                case .start(let number):
                    #expect(alive.insert(number).inserted)
                case .dismiss(let numbers):
                    for number in numbers { #expect(alive.contains(number) && told.updateValue(now, forKey: number) == nil) }
                case .kill(let number): #expect(alive.contains(number))
                }
            }
        }
        for _ in 0..<150 {
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1: take(crew.order(Int.random(in: -1...8, using: &random), now: now))
            case 2, 3:
                guard let number = alive.sorted().randomElement(using: &random) else { break }
                alive.remove(number)
                told[number] = nil
                crew.ended(number, .exit(.code(1)), now: now, using: &random)
            case 4:
                guard let number = alive.sorted().randomElement(using: &random) else { break }
                crew.orphaned(number, now: now)
            case 5: crew.acknowledged(told.keys.sorted().prefix(1), now: now)
            default: now += .milliseconds(Int.random(in: 0...40_000, using: &random))
            }
            take(crew.advance(now))
            #expect(crew.living == alive.count && alive.count <= maximum)
            #expect(crew.wanted == crew.ordered && crew.ordered <= maximum)
            #expect(crew.ready <= crew.ordered)
            #expect(crew.advance(now).isEmpty, "nothing is asked for twice")
            for (number, since) in told where now - since >= Self.timing.drain { #expect(crew.workers[number]?.phase == .killed) }
            if let next = crew.next { #expect(next > now) }
        }
        // Left alone, it comes to what was ordered.
        take(crew.order(min(2, maximum), now: now))
        for number in told.keys {
            alive.remove(number)
            crew.ended(number, .exit(nil), now: now, using: &random)
        }
        for number in alive where crew.workers[number]?.phase != .ready && crew.workers[number]?.phase != .starting {
            alive.remove(number)
            crew.ended(number, .exit(nil), now: now, using: &random)
        }
        told = [:]
        for _ in 0..<3 {
            now += .seconds(61)
            take(crew.advance(now))
        }
        #expect(crew.ready == min(2, maximum) && crew.living == min(2, maximum))
    }
}
