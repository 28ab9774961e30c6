internal import Locking
internal import Streams
internal import Telemetry
internal import ThreadExecutor

extension LocalBinder {
    /// On the journal's thread.
    func open(_ journal: Journal) {
        let result = Result { () throws(BinderError) in try journal.open(limits: limits) }
        let (openers, due) = state.withLock { state -> ([CheckedContinuation<Void, Never>], Int64?) in
            var due: Int64?
            switch result {
            case .success(let broker):
                state.broker = broker
                state.knownDestinations = broker.destinations.count
                state.phase = .open
                due = state.broker.nextDue()
            case .failure(let error): state.phase = .failed(error)
            }
            let openers = state.openers
            state.openers = []
            return (openers, due)
        }
        if case .failure(let error) = result { log.error("the durable log cannot be opened", ["error": error.message]) }
        if let due { setTimer(due) }
        for opener in openers { opener.resume() }
    }

    func whenOpen() async throws(BinderError) {
        guard journal != nil else { return }
        let isOpening = state.withLock { if case .opening = $0.phase { true } else { false } }
        if isOpening {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state in
                    guard case .opening = state.phase else { return true }
                    state.openers.append(continuation)
                    return false
                }
                if now { continuation.resume() }
            }
        }
        if case .failed(let error) = state.withLock({ $0.phase }) { throw error }
    }

    /// Returns when all that has changed so far is on the disk.
    func committed() async throws(BinderError) {
        guard journal != nil else { return }
        if let error = await commit() { throw error }
    }

    func commit() async -> BinderError? {
        await withCheckedContinuation { confirm in
            let due = state.withLock { state in
                state.confirms.append(confirm)
                return state.wantCommit()
            }
            if due { scheduleCommit() }
        }
    }

    func scheduleCommit() {
        guard let journal, let thread else { return }
        thread.submit { [self] in writeBatch(to: journal) }
    }

    /// On the journal's thread: writes all that has come since the last time in one commit, then hands out the events and confirms.
    func writeBatch(to journal: Journal) {
        let (batch, staged, confirms) = state.withLock { state in
            state.commitIsDue = false
            var batch = state.broker.takeBatch(known: state.knownDestinations)
            var next: [Int: UInt64] = [:]
            for one in state.staged {
                let position = next[one.destination] ?? state.broker.destinations[one.destination].log.next
                next[one.destination] = position + 1
                batch.events.append(
                    .init(
                        destination: one.destination, position: position, stored: one.stored,
                        lane: LocalBroker.lane(of: one.stored.envelope),
                        size: one.size, time: one.time))
            }
            let taken = (batch, state.staged, state.confirms)
            state.staged = []
            state.confirms = []
            return taken
        }
        let failure: BinderError?
        do throws(BinderError) {
            if !batch.isEmpty { try journal.write(batch) }
            failure = nil
        } catch {
            failure = error
            log.error("a commit of the durable log failed", ["error": error.message, "events": "\(batch.events.count)"])
        }
        let (wakes, hints) = state.withLock { state -> (Wakes, [BacklogWatches.Hint]) in
            state.trouble = failure
            for one in staged {
                let size = state.stagedSizes[one.destination] ?? (0, 0)
                state.stagedSizes[one.destination] = size.events > 1 ? (size.events - 1, size.bytes - one.size) : nil
            }
            guard failure == nil else {
                state.broker.putBack(batch)
                return ([], [])
            }
            state.knownDestinations += batch.destinations.count
            var out: [HandOut] = []
            var hints: [BacklogWatches.Hint] = []
            for event in batch.events {
                if !state.watches.isEmpty { hints += state.hints(before: event.destination) }
                _ = state.broker.append(event.stored, size: event.size, to: event.destination, time: event.time, &out)
            }
            state.counts.published += batch.events.count
            return (state.wakes(for: out), hints)
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        for hint in hints { hint() }
        for (one, event) in zip(staged, batch.events) {
            one.publisher.resume(returning: failure.map { .failure($0) } ?? .success(event.position))
        }
        for confirm in confirms { confirm.resume(returning: failure) }
    }
}
