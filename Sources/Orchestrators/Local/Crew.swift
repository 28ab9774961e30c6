internal import Lifecycle
internal import Processes

/// The workers of one policy: a pure value; what happened goes in, what is to be done comes out. Moments are times since the machine started.
///
///     waiting ─start─► starting ─a while─► ready
///        ▲                │                  │ not wanted any more
///        │ still wanted   ▼                  ▼
///        └───ended─── (its process) ◄─── leaving ─deadline─► killed
///
/// A place that is wanted keeps its number and is filled again; one that is not goes with its process. Never are there more than `maximum`
/// processes: those that are wanted wait until others have gone.
struct Crew: Sendable {
    enum Action: Sendable, Hashable {
        case start(Int)
        /// They are to end what they have in hand and leave.
        case dismiss([Int])
        case kill(Int)
    }
    enum Phase: Sendable, Hashable {
        case starting
        case ready
        case leaving(until: Duration)
        case killed
    }
    /// Why a place is empty.
    enum Failure: Sendable, Hashable {
        /// Nil: only its parent, a server that is gone, could have been told.
        case exit(ProcessExit?)
        case start(String)
    }
    struct Worker: Sendable {
        let number: Int
        var isWanted = true
        /// Nil: no process.
        var phase: Phase?
        /// Of the process that it has, or had last.
        var started: Duration = .zero
        /// Without a process: not before this moment.
        var pausedUntil: Duration = .zero
        var backOff: BackOff
        var failure: Failure?

        var isReady: Bool { isWanted && phase == .ready }
    }

    let timing: WorkerTiming
    let maximum: Int
    private(set) var ordered: Int
    /// By number.
    private(set) var workers: [Int: Worker] = [:]

    init(_ timing: WorkerTiming, maximum: Int, ordered: Int = 0) {
        self.timing = timing
        self.maximum = max(0, maximum)
        self.ordered = 0
        self.ordered = clamp(ordered)
    }

    private func clamp(_ count: Int) -> Int { min(max(0, count), maximum) }

    var wanted: Int { workers.values.count { $0.isWanted } }
    /// Those with a process.
    var living: Int { workers.values.count { $0.phase != nil } }
    var ready: Int { workers.values.count { $0.isReady } }

    // MARK: What happened

    /// A process that an earlier server has started is here. Those that leave keep their deadline.
    mutating func adopt(_ number: Int, started: Duration, leavingUntil: Duration?, now: Duration) {
        var worker = Worker(number: number, backOff: timing.backOff)
        worker.started = started
        worker.isWanted = leavingUntil == nil
        worker.phase = leavingUntil.map { .leaving(until: min($0, now + timing.drain)) } ?? .starting
        workers[number] = worker
    }

    /// From now on so many are wanted. Those that start go first, then the youngest.
    mutating func order(_ count: Int, now: Duration) -> [Action] {
        ordered = clamp(count)
        return settle(now)
    }

    /// Brings the number of places to what is ordered.
    mutating func settle(_ now: Duration) -> [Action] {
        var free = 1
        while wanted < ordered {
            while workers[free] != nil { free += 1 }
            workers[free] = Worker(number: free, backOff: timing.backOff)
        }
        guard wanted > ordered else { return [] }
        let victims = workers.values.filter(\.isWanted).sorted { Self.goesBefore($0, $1) }.prefix(wanted - ordered)
        for victim in victims { dismiss(victim.number, now) }
        let told = victims.filter { $0.phase == .starting || $0.phase == .ready }.map(\.number)
        return told.isEmpty ? [] : [.dismiss(told.sorted())]
    }

    private mutating func dismiss(_ number: Int, _ now: Duration) {
        workers[number]?.isWanted = false
        switch workers[number]?.phase {
        case nil: workers[number] = nil
        case .starting, .ready: workers[number]?.phase = .leaving(until: now + timing.drain)
        case .leaving, .killed: break
        }
    }

    private static func goesBefore(_ left: Worker, _ right: Worker) -> Bool {
        func rank(_ worker: Worker) -> Int {
            switch worker.phase {
            case nil, .leaving, .killed: 0
            case .starting: 1
            case .ready: 2
            }
        }
        let (one, other) = (rank(left), rank(right))
        if one != other { return one < other }
        if left.started != right.started { return left.started > right.started }
        return left.number > right.number
    }

    /// A process could not be made.
    mutating func startFailed(_ number: Int, _ reason: String, now: Duration, using generator: inout some RandomNumberGenerator) {
        ended(number, .start(reason), now: now, using: &generator)
    }

    /// The process is gone, with all of its group.
    mutating func ended(_ number: Int, _ failure: Failure, now: Duration, using generator: inout some RandomNumberGenerator) {
        guard var worker = workers[number], worker.phase != nil else { return }
        guard worker.isWanted else {
            workers[number] = nil
            return
        }
        if now - worker.started >= timing.steady { worker.backOff.reset() }
        worker.phase = nil
        worker.failure = failure
        worker.pausedUntil = now + worker.backOff.next(using: &generator)
        workers[number] = worker
    }

    /// The process is gone, but others of its group are not: the place is not free.
    mutating func orphaned(_ number: Int, now: Duration) {
        switch workers[number]?.phase {
        case .starting, .ready: workers[number]?.phase = .leaving(until: now + timing.drain)
        case nil, .leaving, .killed: break
        }
    }

    /// They have nothing in hand any more: those that are still there soon need not be waited for.
    mutating func acknowledged(_ numbers: some Sequence<Int>, now: Duration) {
        for number in numbers {
            if case .leaving(let until) = workers[number]?.phase {
                workers[number]?.phase = .leaving(until: min(until, now + timing.farewell))
            }
        }
    }

    // MARK: What is to be done

    /// What the time has come for.
    mutating func advance(_ now: Duration) -> [Action] {
        var actions: [Action] = []
        for number in workers.keys.sorted() {
            guard let worker = workers[number] else { continue }
            switch worker.phase {
            case .starting where now - worker.started >= timing.ready: workers[number]?.phase = .ready
            case .leaving(let until) where now >= until:
                workers[number]?.phase = .killed
                actions.append(.kill(number))
            default: break
            }
        }
        var room = maximum - living
        for number in workers.keys.sorted() where room > 0 {
            guard let worker = workers[number], worker.isWanted, worker.phase == nil, worker.pausedUntil <= now else { continue }
            workers[number]?.phase = .starting
            workers[number]?.started = now
            room -= 1
            actions.append(.start(number))
        }
        return actions
    }

    /// When `advance` has something to do, if nothing happens before; nil: never.
    var next: Duration? {
        let hasRoom = living < maximum
        return workers.values.compactMap { worker -> Duration? in
            switch worker.phase {
            case .starting: worker.started + timing.ready
            case .leaving(let until): until
            case .ready, .killed: nil
            case nil: hasRoom ? worker.pausedUntil : nil
            }
        }.min()
    }
}
