import ConfigClient
import Processes
import Testing

@testable import ConfigAgent

struct SupervisionTests {
    private typealias Event = Supervision.Event
    private typealias Action = Supervision.Action

    private static func machine(_ mode: ChangeMode, command: [String] = ["x"]) -> Supervision {
        Supervision(
            AgentConfiguration(
                client: ConfigClientSettings(application: "a"), command: command, change: mode, stopLimit: .seconds(9),
                restartPause: .seconds(1), restartLimit: .seconds(4), steadyTime: .seconds(10)))
    }

    /// Each step: what comes in, what must come out.
    private struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let mode: ChangeMode
        var command = ["x"]
        let steps: [(Supervision.Event, [Supervision.Action])]
        let phase: Supervision.Phase
        var testDescription: String { name }
    }

    private static func configured(_ change: UInt64, _ concerns: Bool = true) -> Event {
        .configured(change: change, concernsCommand: concerns)
    }
    private static func exited(_ exit: ProcessExit, after time: Duration = .seconds(1)) -> Event { .exited(exit, ranFor: time) }

    private static let cases: [Case] = [
        Case(
            name: "files only", mode: .restart, command: [],
            steps: [
                (configured(1), [.applied(1)]), (configured(2), [.applied(2)]), (.signal(1), []), (.shutdown, [.finish(0)]),
                (.shutdown, []),
            ], phase: .ended),
        Case(
            name: "the first configuration starts the command, its end ends the agent", mode: .rewrite,
            steps: [
                (configured(1), [.start]), (.started, [.applied(1)]), (configured(2), [.applied(2)]), (exited(.code(3)), [.finish(3)]),
            ],
            phase: .ended),
        Case(
            name: "a signal tells of a change that concerns the command", mode: .signal(1),
            steps: [
                (configured(1), [.start]), (.started, [.applied(1)]), (configured(2), [.send(1), .applied(2)]),
                (configured(3, false), [.applied(3)]), (exited(.signal(1)), [.finish(129)]),
            ], phase: .ended),
        Case(
            name: "a restart waits for the end, and changes on the way are in force with it", mode: .restart,
            steps: [
                (configured(1), [.start]), (.started, [.applied(1)]), (configured(2), [.terminate, .arm(1, .seconds(9))]),
                (configured(3), []),
                (exited(.signal(15)), [.start]), (.timer(1), []), (.started, [.applied(2), .applied(3)]),
            ], phase: .running),
        Case(
            name: "what does not end in time is killed", mode: .restart,
            steps: [
                (configured(1), [.start]), (.started, [.applied(1)]), (configured(2), [.terminate, .arm(1, .seconds(9))]),
                (.timer(1), [.kill]),
                (exited(.signal(9)), [.start]), (.started, [.applied(2)]),
            ], phase: .running),
        Case(
            name: "a change while the process is made restarts it once more", mode: .restart,
            steps: [
                (configured(1), [.start]), (configured(2), []), (.started, [.applied(1), .terminate, .arm(1, .seconds(9))]),
                (exited(.code(0)), [.start]), (.started, [.applied(2)]),
            ], phase: .running),
        Case(
            name: "a change while the process is made is signalled", mode: .signal(10),
            steps: [(configured(1), [.start]), (configured(2), []), (.started, [.applied(1), .send(10), .applied(2)])], phase: .running),
        Case(
            name: "a command that fails by itself is started again with growing pauses", mode: .restart,
            steps: [
                (configured(1), [.start]), (.started, [.applied(1)]), (exited(.code(1)), [.crashed(.code(1)), .arm(1, .seconds(1))]),
                (.timer(1), [.start]), (.started, []), (exited(.signal(11)), [.crashed(.signal(11)), .arm(3, .seconds(2))]),
                (.timer(1), []),
                (.timer(3), [.start]), (.started, []), (exited(.code(1)), [.crashed(.code(1)), .arm(5, .seconds(4))]),
                (.timer(5), [.start]),
                (.started, []), (exited(.code(1)), [.crashed(.code(1)), .arm(7, .seconds(4))]), (.timer(7), [.start]), (.started, []),
                (exited(.code(1), after: .seconds(60)), [.crashed(.code(1)), .arm(9, .seconds(1))]),
            ], phase: .pausing),
        Case(
            name: "a change ends the pause, and a clean end the agent", mode: .restart,
            steps: [
                (configured(1), [.start]), (.started, [.applied(1)]), (exited(.code(1)), [.crashed(.code(1)), .arm(1, .seconds(1))]),
                (configured(2), [.start]), (.timer(1), []), (.started, [.applied(2)]), (exited(.code(0)), [.finish(0)]),
            ], phase: .ended),
        Case(
            name: "a command that cannot be started ends the agent", mode: .restart,
            steps: [(configured(1), [.start]), (.startFailed("no"), [.failed(1, "no"), .finish(127)])], phase: .ended),
        Case(
            name: "a command that ran before and cannot be started is tried again", mode: .restart,
            steps: [
                (configured(1), [.start]), (.started, [.applied(1)]), (configured(2), [.terminate, .arm(1, .seconds(9))]),
                (exited(.signal(15)), [.start]), (.startFailed("no"), [.failed(2, "no"), .arm(3, .seconds(1))]), (.timer(3), [.start]),
            ], phase: .starting),
        Case(
            name: "shutdown ends the command and takes its code", mode: .restart,
            steps: [
                (configured(1), [.start]), (.started, [.applied(1)]), (.shutdown, [.terminate, .arm(1, .seconds(9))]),
                (configured(2), [.failed(2, "the agent is ending")]), (.shutdown, []), (.timer(1), [.kill]),
                (exited(.signal(9)), [.finish(137)]),
                (configured(3), [.failed(3, "the command has ended")]), (exited(.code(0)), []),
            ], phase: .ended),
        Case(
            name: "shutdown within a restart starts nothing again", mode: .restart,
            steps: [
                (configured(1), [.start]), (.started, [.applied(1)]), (configured(2), [.terminate, .arm(1, .seconds(9))]),
                (.shutdown, [.failed(2, "the agent is ending")]), (.timer(1), [.kill]), (exited(.code(0)), [.finish(0)]),
            ], phase: .ended),
        Case(
            name: "shutdown while the process is made ends it when it stands", mode: .rewrite,
            steps: [
                (configured(1), [.start]), (.shutdown, [.failed(1, "the agent is ending")]),
                (.started, [.terminate, .arm(1, .seconds(9))]),
                (exited(.signal(15)), [.finish(143)]),
            ], phase: .ended),
        Case(
            name: "shutdown in a pause ends with the last code", mode: .restart,
            steps: [
                (configured(1), [.start]), (.started, [.applied(1)]), (exited(.code(7)), [.crashed(.code(7)), .arm(1, .seconds(1))]),
                (.shutdown, [.finish(7)]), (.timer(1), []),
            ], phase: .ended),
    ]

    @Test(arguments: cases)
    private func `the machine answers each event`(_ one: Case) {
        var machine = Self.machine(one.mode, command: one.command)
        for (index, (event, expected)) in one.steps.enumerated() {
            #expect(machine.handle(event) == expected, "\(one.name), step \(index + 1): \(event)")
        }
        #expect(machine.phase == one.phase)
    }

    @Test(arguments: [ChangeMode.restart, .signal(1), .rewrite])
    func `whatever comes in whatever order, nothing is started twice, no change is forgotten, and the end is the end`(_ mode: ChangeMode) {
        var random = Numbers(state: 42)
        for round in 0..<3500 {
            var machine = Self.machine(mode, command: round % 8 == 0 ? [] : ["x"])
            var world = World()
            for _ in 0..<40 {
                let event = world.event(using: &random)
                world.take(event)
                for action in machine.handle(event) { world.take(action) }
                if let broken = world.broken {
                    Issue.record("round \(round): \(broken)")
                    return
                }
            }
            // To the end: shutdown, then whatever the machine waits for.
            for event in [Event.shutdown] + Array(repeating: Event.timer(world.timer), count: 1) {
                world.take(event)
                for action in machine.handle(event) { world.take(action) }
            }
            for _ in 0..<3 where !world.isFinished {
                let event: Event = world.isStarting ? .started : Self.exited(.signal(9))
                world.take(event)
                for action in machine.handle(event) { world.take(action) }
            }
            #expect(world.broken == nil && world.isFinished && world.open.isEmpty, "round \(round)")
        }
    }

    /// What the shell around the machine would see.
    private struct World {
        var isStarting = false
        var isAlive = false
        var isFinished = false
        var timer: UInt64 = 0
        var change: UInt64 = 0
        var open: Set<UInt64> = []
        var broken: String?

        mutating func event(using random: inout Numbers) -> Supervision.Event {
            while true {
                switch Int.random(in: 0..<9, using: &random) {
                case 0, 1: return .configured(change: change + 1, concernsCommand: Bool.random(using: &random))
                case 2 where isStarting: return .started
                case 3 where isStarting: return .startFailed("no")
                case 4 where isAlive:
                    return .exited(
                        Bool.random(using: &random) ? .code(Int32.random(in: 0...2, using: &random)) : .signal(15),
                        ranFor: .seconds(Int.random(in: 0...20, using: &random)))
                case 5: return .timer(UInt64.random(in: 0...(timer + 1), using: &random))
                case 6: return .timer(timer)
                case 7: return .signal(10)
                case 8 where Int.random(in: 0..<10, using: &random) == 0: return .shutdown
                default: continue
                }
            }
        }

        mutating func take(_ event: Supervision.Event) {
            switch event {
            case .configured(let id, _):
                change = id
                open.insert(id)
            case .started: (isStarting, isAlive) = (false, true)
            case .startFailed: isStarting = false
            case .exited: isAlive = false
            case .timer, .signal, .shutdown: break
            }
        }

        mutating func take(_ action: Supervision.Action) {
            if isFinished, !isAnswer(action) { broken = "\(action) after the end" }
            switch action {
            case .start:
                if isStarting || isAlive { broken = "started twice" }
                isStarting = true
            case .send, .terminate, .kill: if !isAlive { broken = "\(action) without a process" }
            case .arm(let id, let time):
                if id <= timer || time <= .zero { broken = "timer \(id)" }
                timer = id
            case .applied(let id), .failed(let id, _): if open.remove(id) == nil { broken = "change \(id) answered twice" }
            case .crashed: break
            case .finish:
                if isAlive || isStarting || isFinished { broken = "finished with a process" }
                isFinished = true
            }
        }

        private func isAnswer(_ action: Supervision.Action) -> Bool { if case .failed = action { true } else { false } }
    }
}

/// A generator with a seed.
struct Numbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &+ 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
