internal import Lifecycle
package import Streams

/// One case that every binder passes: `id` as in the list of the conformance suite, and what it says in words.
package struct BinderCase: Sendable, CustomStringConvertible {
    package let id: String
    package let title: String
    /// A binder without these capabilities skips the case by name.
    package let needs: BinderCapabilities
    /// Runs after the others, while no other does: it disturbs the broker or measures what others would blur.
    package let isAlone: Bool
    private let body: @Sendable (BinderBench) async throws -> Void

    init(
        _ id: String, _ title: String, needs: BinderCapabilities = [], isAlone: Bool = false,
        _ body: @escaping @Sendable (BinderBench) async throws -> Void
    ) {
        self.id = id
        self.title = title
        self.needs = needs
        self.isAlone = isAlone
        self.body = body
    }

    package var description: String { "\(id): \(title)" }

    /// Runs the case and removes what it has made; throws what it found wrong. Ends at the end of `limit` and `grace`, whatever the binder does.
    package func run(_ bench: BinderBench, within limit: Duration = .seconds(120), grace: Duration = .seconds(15)) async throws {
        let ended = ShutdownSignal()
        let work = Task { [body] in
            defer { ended.request() }
            try await body(bench)
        }
        await withTaskCancellationHandler {
            await ended.wait(atMost: limit)
        } onCancel: {
            work.cancel()
        }
        guard ended.isRequested || Task.isCancelled else {
            work.cancel()
            await ended.wait(atMost: grace)
            let how = ended.isRequested ? "" : ", not even when it was cancelled"
            throw CaseFailed(description: "it did not end within \(limit)\(how)")
        }
        let result = await work.result
        await Task { await bench.cleanUp() }.value  // also when the run was cancelled
        try result.get()
    }

    /// Which needed capabilities the binder lacks; the case is to be skipped, and said so, when there are any.
    package func missing(_ binder: any Binder) -> BinderCapabilities { needs.subtracting(binder.capabilities) }

    /// The same for a binder on its broker.
    package func missing(_ bench: BinderBench) -> BinderCapabilities { needs.subtracting(bench.capabilities) }
}

/// All cases, for `@Test(arguments: BinderCases.all)`.
package enum BinderCases {
    package static let all: [BinderCase] =
        (dataPath + groups + settling + order + lifecycle + consuming + partitions + publishing + failures + endurance + observing)
        .sorted { ($0.id.first ?? " ", Int($0.id.dropFirst()) ?? 0) < ($1.id.first ?? " ", Int($1.id.dropFirst()) ?? 0) }

    /// Cases that look at several members of a group at work: a broker whose members share by partitions needs several of these for them.
    package static let sharing: Set<String> = ["A6", "B2", "B5", "B6", "D1", "E9", "E10"]

    static func sorted(_ texts: [String]) -> [String] { texts.sorted() }

    static func texts(_ count: Int, _ prefix: String = "e") -> [String] { (0..<count).map { "\(prefix)\($0)" } }
}
