internal import Autoscaler
internal import Locking

/// A queue condition of a policy, by its place among them.
package struct QueueKey: Sendable, Hashable {
    package var policy: String
    package var index: Int

    package init(policy: String, index: Int) {
        self.policy = policy
        self.index = index
    }
}

/// How a source has answered so far.
package struct PlaceStatus: Sendable, Hashable {
    /// For people, without secrets.
    package var name: String
    /// How many conditions of policies it serves.
    package var conditions: Int
    /// How often it was asked, and how often it left something unknown.
    package var calls = 0
    package var errors = 0
    /// When it last told a number.
    package var answered: ContinuousClock.Instant?
    /// What it left unknown the last time, and why; one reason of several.
    package var problem: String?

    /// How old the last number is; nil: there was none.
    package func age(at now: ContinuousClock.Instant = .now) -> Duration? { answered.map { $0.duration(to: now) } }
}

/// A source with all conditions that it serves.
protocol Place: Sendable {
    var status: PlaceStatus { get }
    /// The conditions that it serves.
    var served: [QueueKey] { get }
    /// `wanted`: of these conditions only; nil: of all.
    func read(_ wanted: Set<QueueKey>?, within limit: Duration) async -> [(QueueKey, QueueReport)]
    func watch(_ changed: @escaping @Sendable (QueueKey) -> Void) async
}

final class PlaceOf<Source: BacklogSource>: Place {
    private let source: Source
    private let keys: [Source.Queue: [QueueKey]]
    private let queues: Set<Source.Queue>
    private let state: Locked<PlaceStatus>

    init(_ source: Source, _ wanted: [(key: QueueKey, queue: Source.Queue)]) {
        self.source = source
        keys = Dictionary(grouping: wanted, by: \.queue).mapValues { $0.map(\.key) }
        queues = Set(keys.keys)
        state = Locked(PlaceStatus(name: source.name, conditions: wanted.count))
    }

    var status: PlaceStatus { state.withLock { $0 } }

    var served: [QueueKey] { keys.values.flatMap(\.self).sorted { ($0.policy, $0.index) < ($1.policy, $1.index) } }

    func read(_ wanted: Set<QueueKey>?, within limit: Duration) async -> [(QueueKey, QueueReport)] {
        var keys = keys
        var queues = queues
        // Few of many: a look at one policy does not ask for all.
        if let wanted, wanted.count * 4 < keys.count {
            keys = keys.filter { !wanted.isDisjoint(with: $0.value) }
            queues = Set(keys.keys)
        }
        let reports = await source.read(queues, within: limit)
        var all: [(QueueKey, QueueReport)] = []
        var problem: String?
        var isKnown = false
        for (queue, keys) in keys {
            let report = reports[queue] ?? .unknown("\(source.name) said nothing of it")
            isKnown = isKnown || report.reading.backlog.value != nil
            // The same one of several each time, so that who logs changes logs none that is none.
            if let text = report.problem, text < problem ?? "\u{10FFFF}" { problem = text }
            for key in keys { all.append((key, report)) }
        }
        state.withLock { [problem, isKnown] status in
            status.calls += 1
            if problem != nil { status.errors += 1 }
            status.problem = problem
            if isKnown { status.answered = .now }
        }
        return all
    }

    func watch(_ changed: @escaping @Sendable (QueueKey) -> Void) async {
        let keys = keys
        await source.watch(queues) { queue in for key in keys[queue] ?? [] { changed(key) } }
    }
}
