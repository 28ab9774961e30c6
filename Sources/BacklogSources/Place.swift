internal import Autoscaler

/// A queue condition of a policy, by its place among them.
package struct QueueKey: Sendable, Hashable {
    package var policy: String
    package var index: Int

    package init(policy: String, index: Int) {
        self.policy = policy
        self.index = index
    }
}

/// A source with all conditions that it serves.
protocol Place: Sendable {
    /// For people, without secrets.
    var name: String { get }
    /// The conditions that it serves.
    var served: [QueueKey] { get }
    /// `wanted`: of these conditions only; nil: of all.
    func read(_ wanted: Set<QueueKey>?, within limit: Duration) async -> [(QueueKey, QueueReport)]
    func watch(_ changed: @escaping @Sendable (QueueKey) -> Void) async
}

final class PlaceOf<Source: BacklogSource>: Place {
    let name: String
    private let source: Source
    private let keys: [Source.Queue: [QueueKey]]
    private let queues: Set<Source.Queue>

    init(_ source: Source, _ wanted: [(key: QueueKey, queue: Source.Queue)]) {
        self.source = source
        keys = Dictionary(grouping: wanted, by: \.queue).mapValues { $0.map(\.key) }
        queues = Set(keys.keys)
        name = source.name
    }

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
        return keys.flatMap { queue, keys in
            let report = reports[queue] ?? .unknown("\(name) said nothing of it")
            return keys.map { ($0, report) }
        }
    }

    func watch(_ changed: @escaping @Sendable (QueueKey) -> Void) async {
        let keys = keys
        await source.watch(queues) { queue in for key in keys[queue] ?? [] { changed(key) } }
    }
}
