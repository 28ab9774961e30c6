import Lifecycle
import Locking

/// Holds a consumer's fetching: open, paused, or closed for good.
package final class FetchGate: Sendable {
    private enum Phase { case open, paused, closed }
    private struct State {
        var phase = Phase.open
        /// Requested when fetching is to stop for now; a new one for each time the gate opens.
        var interrupt = ShutdownSignal()
        var opened = ShutdownSignal()
        let closing = ShutdownSignal()
    }
    private let state = Locked(State())

    package init() {}

    package var isPaused: Bool { state.withLock { $0.phase == .paused } }
    package var isClosed: Bool { state.withLock { $0.phase == .closed } }
    /// Requested when the gate is closed for good.
    var closing: ShutdownSignal { state.withLock { $0.closing } }
    /// Requested while the gate is not open.
    var interrupt: ShutdownSignal { state.withLock { $0.interrupt } }

    package func pause() {
        state.withLock { state in
            guard state.phase == .open else { return nil as ShutdownSignal? }
            state.phase = .paused
            state.opened = ShutdownSignal()
            return state.interrupt
        }?.request()
    }

    package func resume() {
        state.withLock { state in
            guard state.phase == .paused else { return nil as ShutdownSignal? }
            state.phase = .open
            state.interrupt = ShutdownSignal()
            return state.opened
        }?.request()
    }

    package func close() {
        let (interrupt, opened) = state.withLock { state in
            state.phase = .closed
            return (state.interrupt, state.opened)
        }
        closing.request()
        interrupt.request()
        opened.request()
    }

    /// Waits while the gate is paused; returns whether it is open. Returns false when the task is cancelled.
    func untilOpen() async -> Bool {
        while !Task.isCancelled {
            let (phase, opened) = state.withLock { ($0.phase, $0.opened) }
            switch phase {
            case .open: return true
            case .closed: return false
            case .paused: await opened.wait()
            }
        }
        return false
    }
}
