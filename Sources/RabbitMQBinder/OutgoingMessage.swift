import CRabbitMQ
import Locking
import Streams
import ThreadExecutor

/// A message on its way to the broker.
struct OutgoingMessage: Sendable {
    enum Properties: Sendable {
        case new(Envelope)
        /// Those of a received message, with changes.
        case copy([UInt8], changes: [(name: String, value: HeaderValue?)], withoutTimestamp: Bool, record: BatchRecord?)
    }
    var exchange: String
    var routingKey: String
    var mandatory: Bool
    var messageID: String
    var properties: Properties
    var body: [UInt8]
}

/// One caller that waits for the broker: a publish, or a declaration alone. It is answered exactly once.
final class PendingPublish: Sendable {
    private enum State {
        case fresh
        case waiting(CheckedContinuation<BinderError?, Never>)
        case answered(BinderError?)
    }
    let message: OutgoingMessage?
    let declaration: Declaration?
    /// On the monotonic clock.
    let deadline: UInt64
    private let state = Locked(State.fresh)

    init(_ message: OutgoingMessage?, declaration: Declaration?, limit: Duration) {
        self.message = message
        self.declaration = declaration
        deadline = Monotonic.now + limit.nanoseconds
    }

    /// Whether the caller was answered already; then nothing is to be sent.
    var isAnswered: Bool {
        state.withLock { if case .answered = $0 { true } else { false } }
    }

    /// The first answer counts; nil is success.
    func answer(_ error: BinderError?) {
        let continuation = state.withLock { state -> CheckedContinuation<BinderError?, Never>? in
            switch state {
            case .fresh:
                state = .answered(error)
                return nil
            case .waiting(let continuation):
                state = .answered(error)
                return continuation
            case .answered: return nil
            }
        }
        continuation?.resume(returning: error)
    }

    /// Waits for the answer. A cancelled task is answered at once.
    func wait() async throws(BinderError) {
        let error = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = state.withLock { state -> BinderError?? in
                    if case .answered(let error) = state { return .some(error) }
                    state = .waiting(continuation)
                    return .none
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            answer(BinderError(.cancelled, "the publish was cancelled; the event may have arrived"))
        }
        if let error { throw error }
    }
}
