package import ConfigModel
import Foundation
package import Lifecycle
import Locking
package import Telemetry
import ThreadExecutor

/// Who asked for configuration lately, over a restart of the server: else a change right after it would reach none of those who do not report
/// themselves, such as Spring applications.
///
/// Kept in a file of the data folder, written at most every `interval`, when an audience is new or was last written of long ago, and at the end.
/// A server that is killed forgets the last seconds.
package final class AudienceMemory: Service {
    private struct Record: Codable, Hashable {
        var applications: [String]
        var profiles: [String]
        var label: String?
        /// Seconds since 1970 when it was last known.
        var seen: Int64
    }
    private struct State {
        var known: [Audience: Int64] = [:]
        /// What the file says.
        var written: [Audience: Int64] = [:]
    }

    package let name = "audience memory"
    private let path: String
    private let current: @Sendable () -> [Audience]
    private let interval: Duration
    private let keep: Int64
    private let log: Log
    private let state = Locked(State())
    private let disk = ThreadExecutor(name: "audiences")

    /// `current` tells who is known now; an audience that nothing was heard of for `keep` is forgotten.
    package init(
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
    package var audiences: [Audience] {
        let now = Timestamp.now.milliseconds / 1000
        let current = current()
        return state.withLock { state in
            for audience in current { state.known[audience] = now }
            state.known = state.known.filter { $0.value > now - keep }
            return Array(state.known.keys)
        }
    }

    package func run(_ life: ServiceLife) async throws {
        await load()
        life.started()
        while !life.shutdown.isRequested, !Task.isCancelled {
            await life.shutdown.wait(atMost: interval)
            await save(atEnd: life.shutdown.isRequested || Task.isCancelled)
        }
    }

    private func load() async {
        let path = path
        guard let data = try? await disk.run({ FileManager.default.contents(atPath: path) }) else { return }
        let records: [Record]
        do { records = try JSONDecoder().decode([Record].self, from: data) } catch {
            log.warning(
                "who asked for configuration is forgotten, since the file cannot be read: changes reach those who ask from now on",
                ["file": path, "reason": "\(error)"])
            return
        }
        state.withLock { state in
            for record in records {
                let audience = Audience(applications: record.applications, profiles: record.profiles, label: record.label)
                state.known[audience] = max(record.seen, state.known[audience] ?? 0)
            }
        }
    }

    private func save(atEnd: Bool) async {
        _ = audiences
        let known: [Audience: Int64]? = state.withLock { state in
            // The time of one that is still known moves on: kept as it was at first, it would be too old at the next start.
            let isOld = state.known.contains { $0.value - (state.written[$0.key] ?? 0) > keep / 8 }
            let isOther = atEnd ? state.known != state.written : state.known.keys != state.written.keys
            guard isOld || isOther else { return nil }
            state.written = state.known
            return state.known
        }
        guard let known else { return }
        let records = known.map { Record(applications: $0.applications, profiles: $0.profiles, label: $0.label, seen: $1) }
        let path = path
        do {
            let data = try JSONEncoder().encode(records)
            try await disk.run { try data.write(to: URL(fileURLWithPath: path), options: .atomic) }
        } catch {
            log.warning("who asked for configuration cannot be kept", ["file": path, "reason": error.localizedDescription])
        }
    }
}
