package import Bus
package import ConfigModel
package import ConfigRepositories
package import Lifecycle
import Locking
import Streams
package import Telemetry

/// Turns new snapshots into refresh events for those whose configuration they really change.
///
/// While the broker is away, changes wait; those of one label become one, from the oldest snapshot that was published to the newest. Of several
/// servers beside the same repository one tells each change (`ToldChanges`).
package final class ChangePublisher: Service {
    package let name = "change publisher"
    private let bus: EventBus
    private let audiences: @Sendable () -> [Audience]
    private let log: Log
    private let metrics: Metrics
    private struct State {
        var waiting: [SnapshotChange] = []
        /// The one that is being published. A later one is never merged into it: a step there and back again would be none, though some may have
        /// been told of the first half.
        var inHand: SnapshotChange?
        var wake: ShutdownSignal?
        var told = ToldChanges()

        mutating func next() -> SnapshotChange? {
            if inHand == nil, !waiting.isEmpty { inHand = waiting.removeFirst() }
            return inHand
        }
    }
    private let state = Locked(State())

    /// `audiences` tells who asked for configuration lately.
    package init(bus: EventBus, audiences: @escaping @Sendable () -> [Audience], log: Log, metrics: Metrics) {
        self.bus = bus
        self.audiences = audiences
        self.log = log
        self.metrics = metrics
        bus.observe { [weak self] observation in
            switch observation {
            case .received(let message, _): self?.state.withLock { $0.told.record(message) }
            case .sent, .refused, .ready, .gap: break
            }
        }
    }

    /// Takes a change; returns at once. One that is rejected, or not to be published, is only counted and logged.
    package func take(_ change: SnapshotChange, publishes: Bool = true) {
        metrics.count(
            "carillon_config_snapshots_total", ["outcome": change.rejected == nil ? "served" : "rejected"],
            help: "New snapshots of repositories.")
        if let rejected = change.rejected {
            log.error(
                "a change is not served; the last good one stays",
                ["version": change.to, "label": change.label ?? "", "reason": rejected.message])
        }
        guard publishes, change.rejected == nil, change.before != nil else { return }
        let wake = state.withLock { state in
            if let index = state.waiting.firstIndex(where: { $0.label == change.label && $0.to == change.from }) {
                var merged = change
                merged.from = state.waiting[index].from
                merged.before = state.waiting[index].before
                merged.paths = Array(Set(state.waiting[index].paths + change.paths)).sorted()
                state.waiting[index] = merged
            } else {
                state.waiting.append(change)
            }
            defer { state.wake = nil }
            return state.wake
        }
        wake?.request()
    }

    package func run(_ life: ServiceLife) async throws {
        life.started()
        _ = try await life.cancelOnShutdown { [self] in
            var backOff = BackOff(first: .milliseconds(250), longest: .seconds(15))
            while true {
                guard let change = state.withLock({ $0.next() }) else {
                    await idle()
                    try Task.checkCancellation()
                    continue
                }
                do throws(BinderError) {
                    try await publish(change)
                    backOff.reset()
                    state.withLock { $0.inHand = nil }
                } catch {
                    log.warning("a change is not published yet; trying again", ["version": change.to, "reason": error.message])
                    try await Task.sleep(for: backOff.next())  // between two tries
                }
            }
        }
    }

    private func idle() async {
        let signal = ShutdownSignal()
        let now = state.withLock { state in
            guard state.waiting.isEmpty, state.inHand == nil else { return true }
            state.wake = signal
            return false
        }
        if !now { await signal.wait() }
    }

    private func publish(_ change: SnapshotChange) async throws(BinderError) {
        guard let before = change.before else { return }
        let diff = await EffectiveDiff(from: before, to: change.after, audiences: audiences())
        let notices = diff.notices
        var published: [String] = []
        for notice in notices {
            let details = RefreshDetails(
                version: change.to, hash: notice.hash, label: change.label, keys: notice.keys,
                commit: RefreshDetails.Commit(id: change.to, author: change.author, time: change.time))
            // Told by another server, or by this one before the broker went away.
            guard
                let id = state.withLock({
                    $0.told.tell(label: change.label, from: change.from, to: change.to, destination: notice.destination)
                })
            else { continue }
            do throws(BinderError) {
                try await bus.refresh(notice.destination, details: details, event: id)
            } catch {
                state.withLock { $0.told.didNotTell(label: change.label, version: change.to, destination: notice.destination) }
                throw error
            }
            published.append(notice.destination)
        }
        metrics.count(
            "carillon_refreshes_total", by: Double(published.count), help: "Refresh events published for changes of repositories.")
        let outcome = notices.isEmpty ? "concerns nobody known" : published.isEmpty ? "is known on the bus" : "is published"
        metrics.count("carillon_changes_total", ["outcome": outcome], help: "Changes of repositories by what was told of them.")
        log.info(
            "a change \(outcome)",
            [
                "version": change.to, "label": change.label ?? "", "audiences": "\(diff.changes.count) of \(diff.compared)",
                "destinations": published.joined(separator: " "),
            ])
    }
}
