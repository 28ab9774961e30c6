import Locking

/// Where a transfer's answer goes. Everything but `isOver` is called on the loop's thread; whoever waits may be anywhere.
protocol TransferSink: AnyObject, Sendable {
    /// Whether nobody waits any more: cancelled, left, or done.
    var isOver: Bool { get }
    func receive(head: HTTPClientResponse.Head)
    /// False: no room now, offer the same bytes again after `resume`.
    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool
    /// The transfer is over; with an error where it failed. Later calls do nothing.
    func end(_ error: HTTPClientError?)
}

/// Gathers a whole answer for `send`.
final class WholeSink: TransferSink {
    typealias Outcome = Result<HTTPClientResponse, HTTPClientError>
    private struct State {
        var head: HTTPClientResponse.Head?
        var body: [UInt8] = []
        var outcome: Outcome?
        var waiter: CheckedContinuation<Outcome, Never>?
    }
    private let state = Locked(State())

    var isOver: Bool { state.withLock { $0.outcome != nil } }

    /// Resumes `waiter` with the outcome, at once where there is one.
    func wait(_ waiter: CheckedContinuation<Outcome, Never>) {
        let outcome = state.withLock { state in
            if state.outcome == nil { state.waiter = waiter }
            return state.outcome
        }
        if let outcome { waiter.resume(returning: outcome) }
    }

    func receive(head: HTTPClientResponse.Head) { state.withLock { $0.head = head } }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let copy = Array(bytes)
        state.withLock { $0.body += copy }
        return true
    }

    func end(_ error: HTTPClientError?) {
        let (waiter, outcome) = state.withLock { state -> (CheckedContinuation<Outcome, Never>?, Outcome) in
            let outcome: Outcome
            if let error {
                outcome = .failure(error)
            } else if let head = state.head {
                outcome = .success(HTTPClientResponse(head: head, body: state.body))
            } else {
                outcome = .failure(HTTPClientError(.interrupted, "the connection ended before the answer's head"))
            }
            guard state.outcome == nil else { return (nil, outcome) }
            state.outcome = outcome
            state.body = []
            defer { state.waiter = nil }
            return (state.waiter, outcome)
        }
        waiter?.resume(returning: outcome)
    }
}

/// Keeps a bounded piece of a streamed answer for a reader that pulls.
final class StreamSink: TransferSink {
    typealias HeadOutcome = Result<HTTPClientResponse.Head, HTTPClientError>
    typealias ChunkOutcome = Result<[UInt8]?, HTTPClientError>
    private struct State {
        var head: HTTPClientResponse.Head?
        var buffer: [UInt8] = []
        var isPaused = false
        /// Set once: nil within means that the answer came whole.
        var end: HTTPClientError??
        var headWaiter: CheckedContinuation<HeadOutcome, Never>?
        var chunkWaiter: CheckedContinuation<ChunkOutcome, Never>?
    }
    private let state = Locked(State())
    private let bound: Int
    private let resume: @Sendable (StreamSink) -> Void

    /// `resume` is called from any task when there is room again after `receive` said false.
    init(bound: Int, resume: @escaping @Sendable (StreamSink) -> Void) {
        self.bound = max(1, bound)
        self.resume = resume
    }

    var isOver: Bool { state.withLock { $0.end != nil } }

    func wait(head waiter: CheckedContinuation<HeadOutcome, Never>) {
        let outcome = state.withLock { state -> HeadOutcome? in
            if let head = state.head { return .success(head) }
            if let end = state.end { return .failure(end ?? Self.headless) }
            state.headWaiter = waiter
            return nil
        }
        if let outcome { waiter.resume(returning: outcome) }
    }

    /// Resumes `waiter` with all that is there; nil at the end. One reader at a time.
    func wait(chunk waiter: CheckedContinuation<ChunkOutcome, Never>) {
        let (outcome, isResumed) = state.withLock { state -> (ChunkOutcome?, Bool) in
            if !state.buffer.isEmpty {
                defer {
                    state.buffer = []
                    state.isPaused = false
                }
                return (.success(state.buffer), state.isPaused && state.end == nil)
            }
            if let end = state.end { return (end.map { .failure($0) } ?? .success(nil), false) }
            state.chunkWaiter = waiter
            return (nil, false)
        }
        if isResumed { resume(self) }
        if let outcome { waiter.resume(returning: outcome) }
    }

    func receive(head: HTTPClientResponse.Head) {
        let waiter = state.withLock { state in
            state.head = head
            defer { state.headWaiter = nil }
            return state.headWaiter
        }
        waiter?.resume(returning: .success(head))
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let copy = Array(bytes)
        let (waiter, isTaken) = state.withLock { state -> (CheckedContinuation<ChunkOutcome, Never>?, Bool) in
            if let waiter = state.chunkWaiter {
                state.chunkWaiter = nil
                return (waiter, true)
            }
            if state.buffer.count >= bound {
                state.isPaused = true
                return (nil, false)
            }
            state.buffer += copy
            return (nil, true)
        }
        waiter?.resume(returning: .success(copy))
        return isTaken
    }

    func end(_ error: HTTPClientError?) {
        let (head, chunk) = state.withLock {
            state -> (CheckedContinuation<HeadOutcome, Never>?, CheckedContinuation<ChunkOutcome, Never>?) in
            guard state.end == nil else { return (nil, nil) }
            state.end = .some(error)
            defer {
                state.headWaiter = nil
                state.chunkWaiter = nil
            }
            return (state.headWaiter, state.chunkWaiter)
        }
        head?.resume(returning: .failure(error ?? Self.headless))
        chunk?.resume(returning: error.map { .failure($0) } ?? .success(nil))
    }

    private static let headless = HTTPClientError(.interrupted, "the connection ended before the answer's head")
}
