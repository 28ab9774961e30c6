internal import Streams

extension LocalBinder {
    enum Wake: Sendable {
        case handOut(HandOut)
        case ended
        case cancelled
    }
    enum Phase: Sendable { case opening, open, ending, closed, failed(BinderError) }
    struct Waiter: Sendable {
        let seat: LocalBroker.Seat
        let continuation: CheckedContinuation<Wake, Never>
    }
    struct Staged: Sendable {
        let destination: Int
        let stored: StoredEnvelope
        let size: Int
        let time: Int64
        let publisher: CheckedContinuation<Result<UInt64, BinderError>, Never>
    }
    typealias Confirm = CheckedContinuation<BinderError?, Never>
    struct State: Sendable {
        var broker: LocalBroker
        var waiters: [UInt64: Waiter] = [:]
        var subscriptions = 0
        var phase: Phase
        /// When the timer that is set goes off; nil when none is.
        var timer: Int64?
        var counts = LocalCounts()
        var watches = BacklogWatches()
        // With a durable log:
        /// Those who wait until it is open.
        var openers: [CheckedContinuation<Void, Never>] = []
        /// Events that wait for the next commit, and what they add to each destination.
        var staged: [Staged] = []
        var stagedSizes: [Int: (events: Int, bytes: Int)] = [:]
        /// Those who wait for the next commit without an event.
        var confirms: [Confirm] = []
        var commitIsDue = false
        var knownDestinations = 0
        /// Why the last commit failed.
        var trouble: BinderError?
    }
    typealias Wakes = [(CheckedContinuation<Wake, Never>, Wake)]
}

extension LocalBinder.State {
    /// Publishing goes on while subscriptions are drained.
    func checkUsable() throws(BinderError) {
        switch phase {
        case .open, .opening, .ending: return
        case .closed: throw LocalBinder.closed
        case .failed(let error): throw error
        }
    }

    func checkOpen() throws(BinderError) {
        switch phase {
        case .open, .opening: return
        case .ending, .closed: throw LocalBinder.closed
        case .failed(let error): throw error
        }
    }

    /// Whether a commit has to be scheduled now.
    mutating func wantCommit() -> Bool {
        defer { commitIsDue = true }
        return !commitIsDue
    }

    /// The continuations that these hand-outs resume, outside the lock.
    mutating func wakes(for handOuts: [HandOut]) -> LocalBinder.Wakes {
        guard !handOuts.isEmpty else { return [] }
        counts.delivered += handOuts.count
        return handOuts.compactMap { handOut in waiters.removeValue(forKey: handOut.member).map { ($0.continuation, .handOut(handOut)) } }
    }
}
