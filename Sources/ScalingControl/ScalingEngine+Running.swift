internal import Autoscaler
package import Lifecycle
internal import Locking
internal import Streams
internal import Telemetry

extension ScalingEngine {
    /// Decides at every poll, and at once where a source or an orchestrator says that something has changed, until shutdown. What is in hand then is
    /// ended; counts stay as they are.
    package func run(_ life: ServiceLife) async throws {
        try await open()
        life.started()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await withTaskGroup(of: Void.self) { parts in
                    parts.addTask { await self.poll(until: life.shutdown) }
                    parts.addTask { await self.followHints(until: life.shutdown) }
                    parts.addTask { await self.forget(until: life.shutdown) }
                    for source in self.sources.indices { parts.addTask { await self.watch(source: source) } }
                    for (index, plan) in self.plans.enumerated() {
                        if let target = plan.target { parts.addTask { await target.watch { self.hint(index) } } }
                    }
                    parts.addTask { await self.listen(to: ScalingEvents.reports, until: life.shutdown) }
                    if self.configuration.isShared {
                        parts.addTask { await self.listen(to: ScalingEvents.destination, until: life.shutdown) }
                        parts.addTask { await self.beat(until: life.shutdown) }
                    }
                    await life.shutdown.wait()
                    // Those that only watch end by it; `poll` and the hints end what they have in hand first, in tasks that are shielded.
                    parts.cancelAll()
                }
            }
        }
        if configuration.isShared, let last = state.withLock({ $0.lease.leave() }) { _ = await tell(.beat, Self.payload(last)) }
        await ledger.close()
    }

    private func poll(until shutdown: ShutdownSignal) async {
        let pace = ContinuousClock()
        await withShieldedTasks { begin in
            var next = pace.now
            while !shutdown.isRequested, !Task.isCancelled {
                self.round(begin)
                // After a pause of the whole machine one round is made, not all that were missed.
                next = max(next + .milliseconds(Int64(self.configuration.poll * 1000)), pace.now)
                try? await Task.sleep(until: next, clock: pace)  // the poll itself
            }
        }
    }

    /// Looks at what has changed, at most a few times a second for each policy.
    private func followHints(until shutdown: ShutdownSignal) async {
        await withShieldedTasks { begin in
            while !shutdown.isRequested, !Task.isCancelled {
                for index in await self.hints() { begin { await self.look(at: index) } }
                try? await Task.sleep(for: .milliseconds(200))  // what comes meanwhile is looked at together
            }
        }
    }

    /// Runs `body`, whose work goes on in tasks of its own; when `body` has ended, waits for them: an order that was given is noted.
    ///
    /// The tasks do not see the cancellation of the caller, since half an order is none; each has a limit of its own.
    private func withShieldedTasks(_ body: @escaping @Sendable (@escaping Beginner) async -> Void) async {
        let begun = WorkCount()
        await body { work in
            begun.begin()
            // Unstructured to shield it; awaited below.
            Task {
                await work()
                begun.end()
            }
        }
        await begun.wait()
    }

    private typealias Beginner = (@escaping @Sendable () async -> Void) -> Void

    private func watch(source: Int) async {
        await sources[source].watch { [weak self] queue in
            guard let self else { return }
            for policy in self.queueUsers[source][queue] ?? [] { self.hint(policy) }
        }
    }

    private func forget(until shutdown: ShutdownSignal) async {
        while !shutdown.isRequested, !Task.isCancelled {
            do { try await ledger.forget(before: clock.wall() - configuration.keep) } catch {
                log.warning("old decisions cannot be forgotten", ["reason": "\(error)"])
            }
            try? await Task.sleep(for: .seconds(600))  // what is too old may lie that much longer
        }
    }
}

/// Counts work under way.
private final class WorkCount: Sendable {
    private let state = Locked<(count: Int, done: ShutdownSignal?)>((0, nil))
    func begin() { state.withLock { $0.count += 1 } }
    func end() {
        let done = state.withLock { state -> ShutdownSignal? in
            state.count -= 1
            return state.count == 0 ? state.done : nil
        }
        done?.request()
    }
    /// Nothing begins any more.
    func wait() async {
        let signal = ShutdownSignal()
        let isDone = state.withLock { state in
            state.done = signal
            return state.count == 0
        }
        if !isDone { await Task { await signal.wait() }.value }  // shielded: the caller may be cancelled
    }
}
