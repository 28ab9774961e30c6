package import Autoscaler
internal import Locking
internal import ThreadExecutor

/// What was decided and what became of it, for as long as it is kept; what is written survives `kill -9`.
///
/// One process at a time has its file. Those who append at the same moment are written together.
package final class Ledger: Sendable {
    private struct State {
        var waiting: [LedgerEntry] = []
        var time: Seconds = 0
        var confirms: [CheckedContinuation<LedgerError?, Never>] = []
        var isScheduled = false
    }
    private let file: LedgerFile
    private let thread = ThreadExecutor(name: "scaling-ledger")
    private let state = Locked(State())

    /// `folder`: made where it is missing; nil: in memory, gone with the process.
    package init(folder: String?) { file = LedgerFile(folder: folder) }

    deinit { thread.stop() }

    /// Opens the file and makes the decisions since the last snapshots again. `boot` tells whether steady clocks go on from before.
    package func open(boot: String) async throws -> (images: [String: LedgerImage], term: Int, sameBoot: Bool) {
        try await thread.run { [file] in try file.open(boot: boot) }
    }

    package func close() async {
        _ = await write([], at: 0)
        try? await thread.run { [file] in file.close() }
    }

    /// Returns when they are written, together and in their order.
    package func append(_ entries: [LedgerEntry], at time: Seconds) async throws(LedgerError) {
        if let error = await write(entries, at: time) { throw error }
    }

    private func write(_ entries: [LedgerEntry], at time: Seconds) async -> LedgerError? {
        await withCheckedContinuation { confirm in
            let isFirst = state.withLock { state in
                state.waiting += entries
                state.time = max(state.time, time)
                state.confirms.append(confirm)
                defer { state.isScheduled = true }
                return !state.isScheduled
            }
            if isFirst { thread.submit { [self] in commit() } }
        }
    }

    /// On the thread.
    private func commit() {
        let (entries, time, confirms) = state.withLock { state in
            defer {
                state.waiting = []
                state.confirms = []
                state.isScheduled = false
                state.time = 0
            }
            return (state.waiting, state.time, state.confirms)
        }
        var failure: LedgerError?
        if !entries.isEmpty {
            do { try file.write(entries, at: time) } catch { failure = error as? LedgerError ?? LedgerError("\(error)") }
        }
        for confirm in confirms { confirm.resume(returning: failure) }
    }

    /// Forgets what is older.
    package func forget(before time: Seconds) async throws {
        while try await thread.run({ [file] in try file.forget(before: time) }) {}
    }

    /// Decisions of a policy between two moments, the last `limit` of them; where there is none in between, the last one before.
    package func decisions(
        of policy: String, from: Seconds, to: Seconds, limit: Int = 10_000
    ) async throws -> [(decision: Decision, result: String?)] {
        try await thread.run { [file] in try file.decisions(of: policy, from: from, to: to, limit: limit).map { ($0.0, $0.result) } }
    }

    /// The last decision at that moment.
    package func decision(of policy: String, at time: Seconds) async throws -> (decision: Decision, result: String?)? {
        try await decisions(of: policy, from: time, to: time).last
    }
}
