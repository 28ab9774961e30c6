import Locking

/// What the deliveries of one batch have in common: the message that brought them is acknowledged when the last one is settled.
///
/// When one of them was handed back, the whole message goes back: what was accepted of it comes again, and nothing is lost.
final class BatchShare: Sendable {
    private struct State {
        var open: Int
        var returned = false
    }
    private let state: Locked<State>

    init(count: Int) { state = Locked(State(open: count)) }

    /// One of them is settled. Tells how the message ends when it was the last one: true when it goes back.
    func settle(handedBack: Bool) -> Bool? {
        state.withLock { state in
            state.open -= 1
            if handedBack { state.returned = true }
            return state.open == 0 ? state.returned : nil
        }
    }
}
