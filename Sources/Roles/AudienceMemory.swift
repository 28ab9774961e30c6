import ConfigModel
import Foundation
import Lifecycle
import Locking
import Telemetry
import ThreadExecutor

/// Who asked for configuration lately, over a restart of the server: else a change right after it would reach none of those who do not report
/// themselves, such as Spring applications.
///
/// Kept in a file of the data folder, written at most every `interval` and at the end. A server that is killed forgets the last seconds.
final class AudienceMemory: Service {
    private struct Record: Codable, Hashable {
        var applications: [String]
        var profiles: [String]
        var label: String?
        /// Seconds since 1970 when it was last known.
        var seen: Int64
    }
    private struct State {
        var known: [Audience: Int64] = [:]
        var written: Set<Audience> = []
    }

    let name = "audience memory"
    private let path: String
    private let current: @Sendable () -> [Audience]
    private let interval: Duration
    private let keep: Int64
    private let log: Log
    private let state = Locked(State())
    private let disk = ThreadExecutor(name: "audiences")

    /// `current` tells who is known now; an audience that nothing was heard of for `keep` is forgotten.
    init(
        path: String, interval: Duration = .seconds(5), keep: Duration = .seconds(7 * 86_400), log: Log,
        current: @escaping @Sendable () -> [Audience]
    ) {
        self.path = path
        self.interval = interval
        self.keep = keep.components.seconds
        self.log = log
        self.current = current
    }

    deinit { disk.stop() }

    /// Those known now and those remembered.
    var audiences: [Audience] {
        let now = Timestamp.now.milliseconds / 1000
        let current = current()
        return state.withLock { state in
            for audience in current { state.known[audience] = now }
            state.known = state.known.filter { $0.value > now - keep }
            return Array(state.known.keys)
        }
    }

    func run(_ life: ServiceLife) async throws {
        await load()
        life.started()
        while !life.shutdown.isRequested, !Task.isCancelled {
            await life.shutdown.wait(atMost: interval)
            await save()
        }
    }

    private func load() async {
        let path = path
        guard let data = try? await disk.run({ FileManager.default.contents(atPath: path) }),
            let records = try? JSONDecoder().decode([Record].self, from: data)
        else { return }
        state.withLock { state in
            for record in records {
                let audience = Audience(applications: record.applications, profiles: record.profiles, label: record.label)
                state.known[audience] = max(record.seen, state.known[audience] ?? 0)
            }
        }
    }

    private func save() async {
        let all = audiences
        let records: [Record]? = state.withLock { state in
            guard Set(all) != state.written else { return nil }
            state.written = Set(all)
            return all.map { Record(applications: $0.applications, profiles: $0.profiles, label: $0.label, seen: state.known[$0] ?? 0) }
        }
        guard let records, let data = try? JSONEncoder().encode(records) else { return }
        let path = path
        do {
            try await disk.run { try data.write(to: URL(fileURLWithPath: path), options: .atomic) }
        } catch {
            log.warning("who asked for configuration cannot be kept", ["file": path, "reason": error.localizedDescription])
        }
    }
}
