import Locking
import Streams
import Synchronization

/// A record on its way to the broker, and the caller that waits for the broker's report.
struct OutgoingRecord: Sendable {
    var topic: String
    /// Nil: by key, or any.
    var partition: Int32?
    var key: [UInt8]?
    /// Nil: a tombstone.
    var value: [UInt8]?
    /// Milliseconds since 1970; negative: now.
    var timestamp: Int64 = -1
    var headers: RecordHeaders
    let pending: PendingRecord
}

/// Where a record was written.
struct Written: Sendable {
    var partition: Int32
    var offset: Int64
    var timestamp: Int64
    var position: String { KafkaPosition(offsets: [partition: offset], time: timestamp < 0 ? nil : timestamp).text }
}

/// One caller that waits. It is answered exactly once.
final class PendingRecord: Sendable {
    typealias Answer = Result<Written, BinderError>
    private enum State {
        case fresh
        case waiting(CheckedContinuation<Answer, Never>)
        case answered(Answer)
    }
    /// On the monotonic clock.
    let deadline: UInt64
    /// Set before the answer, where the record did not arrive because its topic, or its partition, is not there.
    let topicIsGone = Atomic(false)
    private let state = Locked(State.fresh)

    init(limit: Duration) { deadline = Monotonic.now + limit.nanoseconds }

    /// Whether the caller was answered already; then nothing is to be sent.
    var isAnswered: Bool {
        state.withLock { if case .answered = $0 { true } else { false } }
    }

    /// The first answer counts.
    func answer(_ answer: Answer) {
        let continuation = state.withLock { state -> CheckedContinuation<Answer, Never>? in
            switch state {
            case .fresh:
                state = .answered(answer)
                return nil
            case .waiting(let continuation):
                state = .answered(answer)
                return continuation
            case .answered: return nil
            }
        }
        continuation?.resume(returning: answer)
    }

    /// Waits for the answer. A cancelled task is answered at once.
    func wait() async throws(BinderError) -> Written {
        let answer = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = state.withLock { state -> Answer? in
                    if case .answered(let answer) = state { return answer }
                    state = .waiting(continuation)
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            self.answer(.failure(BinderError(.cancelled, "the publish was cancelled; the event may have arrived")))
        }
        return try answer.get()
    }
}
