import BacklogSources
import BinderConformance
import Foundation
import Lifecycle
import LocalBinder
import Locking
import ScalingFormats
import Streams
import TestSupport

/// The policies of a `scaling:` section, whose queues are given as YAML flow mappings: `{destination: orders, group: workers, wait: 60s}`.
func entries(_ policies: [(name: String, queues: [String])]) async throws -> [ScalingSection.Entry] {
    var text = "scaling:\n  policies:\n"
    for policy in policies {
        text += "    \(policy.name):\n      max: 10\n      instance: {rate: 10}\n      conditions:\n"
        for queue in policy.queues { text += "        - queue: \(queue)\n" }
    }
    return try await withTemporaryFolder { [text] folder in
        let file = folder + "/carillon.yaml"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        return try ScalingSection.read(file).entries
    }
}

/// Runs `body` beside a service, and ends it.
func beside<R>(
    _ service: any Service, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async throws -> R {
    let shutdown = ShutdownSignal()
    let running = Task { try await service.run(ServiceLife(shutdown: shutdown)) }
    let result: Result<R, any Error>
    do { result = .success(try await body()) } catch { result = .failure(error) }
    shutdown.request()
    try await running.value
    return try result.get()
}

/// A binder's face for questions that a test answers, and counts.
final class FakeReporting: BacklogReporting {
    typealias Answer = @Sendable (Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>]
    private let answer: Locked<Answer>
    private let count = Locked(0)

    init(_ answer: @escaping Answer) { self.answer = Locked(answer) }

    /// How many questions came.
    var questions: Int { count.withLock { $0 } }

    func set(_ new: @escaping Answer) { answer.withLock { $0 = new } }

    func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        throw BinderError(.broken, "only asked for many at once")
    }

    func backlogs(of groups: Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>] {
        count.withLock { $0 += 1 }
        return await answer.withLock { $0 }(groups)
    }
}

func queue(_ destination: String, _ group: String = "workers") throws -> DestinationGroup {
    DestinationGroup(try Destination(destination), try ConsumerGroup(group))
}
