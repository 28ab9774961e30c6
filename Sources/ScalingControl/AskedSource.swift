package import Autoscaler

/// A source with the queues that policies ask it for, numbered: the engine does not know what a queue is to it.
package struct AskedSource: Sendable {
    package let name: String
    private let reader: @Sendable (Set<Int>, Duration) async -> [Int: QueueReport]
    private let watcher: @Sendable (@escaping @Sendable (Int) -> Void) async -> Void

    /// A source that numbers its queues itself.
    package init(
        name: String, read: @escaping @Sendable (Set<Int>, Duration) async -> [Int: QueueReport],
        watch: @escaping @Sendable (@escaping @Sendable (Int) -> Void) async -> Void
    ) {
        self.name = name
        reader = read
        watcher = watch
    }

    /// `queues`: each once; their places are their numbers.
    package init<Source: BacklogSource>(_ source: Source, queues: [Source.Queue]) {
        name = source.name
        let numbers = Dictionary(queues.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
        let all = Set(queues)
        reader = { wanted, limit in
            let asked = wanted.count == queues.count ? all : Set(wanted.compactMap { queues.indices.contains($0) ? queues[$0] : nil })
            let reports = await source.read(asked, within: limit)
            var answer: [Int: QueueReport] = [:]
            answer.reserveCapacity(reports.count)
            for (queue, report) in reports { if let number = numbers[queue] { answer[number] = report } }
            return answer
        }
        watcher = { changed in await source.watch(all) { queue in if let number = numbers[queue] { changed(number) } } }
    }

    func read(_ queues: Set<Int>, within limit: Duration) async -> [Int: QueueReport] { await reader(queues, limit) }
    func watch(_ changed: @escaping @Sendable (Int) -> Void) async { await watcher(changed) }
}

/// A policy with where its numbers come from and who runs its workers.
package struct PlannedPolicy: Sendable {
    /// A queue of a source, by their numbers.
    package struct QueueNumber: Sendable, Hashable {
        package var source: Int
        package var queue: Int
        package init(source: Int, queue: Int) {
            self.source = source
            self.queue = queue
        }
    }

    package var policy: ScalingPolicy
    /// One for each queue condition, in their order.
    package var queues: [QueueNumber]
    /// Nil: nobody here sets the count; who asks is told what is wanted (KEDA).
    package var target: (any ScalingTarget)?
    package var shadow: ScalingPolicy?

    package init(_ policy: ScalingPolicy, queues: [QueueNumber], target: (any ScalingTarget)?, shadow: ScalingPolicy? = nil) {
        self.policy = policy
        self.queues = queues
        self.target = target
        self.shadow = shadow
    }

    package var targetName: String { target?.name ?? "keda" }
}
