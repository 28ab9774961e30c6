import Locking
import Streams
import ThreadExecutor

/// One caller that waits for an answer of the server. It is answered exactly once.
final class PendingCall: Sendable {
    typealias Answer = Result<RedisReply, BinderError>
    private enum State: Sendable {
        case fresh
        case waiting(CheckedContinuation<Answer, Never>)
        case answered(Answer)
    }
    /// As it goes to the server.
    let command: [UInt8]
    /// The stream that it adds to, if it does.
    let addsTo: RedisKeys?
    /// On the monotonic clock.
    let deadline: UInt64
    private let state = Locked(State.fresh)

    init(_ command: [UInt8], addsTo: RedisKeys?, limit: Duration) {
        self.command = command
        self.addsTo = addsTo
        deadline = Monotonic.now + limit.nanoseconds
    }

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

    func fail(_ code: BinderError.Code, _ message: String) { answer(.failure(BinderError(code, message))) }

    /// Waits for the answer. A cancelled task is answered at once.
    func wait() async throws(BinderError) -> RedisReply {
        let answer = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Answer, Never>) in
                let early = state.withLock { state -> Answer? in
                    if case .answered(let answer) = state { return answer }
                    state = .waiting(continuation)
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            fail(.cancelled, "the call was cancelled; the event may have arrived")
        }
        return try answer.get()
    }
}
