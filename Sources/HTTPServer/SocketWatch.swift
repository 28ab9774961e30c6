import Glibc
import Locking
import Synchronization
import Telemetry
import ThreadExecutor

/// One turn of the server's own thread: accepts, sees clients leave, throws lingering bytes away, and every 250 ms looks for those that are too slow.
final class SocketWatch: Parking, Sendable {
    private struct State: ~Copyable {
        var listener: Listener?
        var isPaused = false
        var nextSweep: Moment = 0
    }
    private static let sweepInterval: Int64 = 250
    private let core: ServerCore
    private let daemon: Daemon
    private let state: Locked<State>

    init(core: ServerCore, daemon: Daemon, listener: consuming Listener) {
        self.core = core
        self.daemon = daemon
        core.events.watchForInput(listener.descriptor, id: SocketEvents.listener)
        state = Locked(State(listener: listener))
    }

    func wake() { core.events.wake() }

    func park() {
        let nextSweep = state.withLock { $0.nextSweep }
        core.events.wait(upTo: min(Self.sweepInterval, nextSweep - Clock.now)) { id in
            if id == SocketEvents.listener {
                _ = accept()
            } else if id & SocketEvents.lingering != 0 {
                core.lingering.read(id)
            } else {
                core.connections[id]?.clientLeft()
            }
        }
        let now = Clock.now
        if now >= nextSweep {
            state.withLock { $0.nextSweep = now + Self.sweepInterval }
            sweep(at: now)
        }
    }

    /// Takes what waits, refuses new connections, ends streams and long polls, and cuts who has no request in hand. On the server's thread, like `park`.
    func beginDrain() {
        for _ in 0..<16 where !accept() { break }  // as many as the kernel keeps waiting, though more come all the time
        usleep(20_000)  // a busy kernel may not yet have finished the handshake of a client that believes itself connected
        _ = accept()
        state.withLock { $0.listener = nil }
        core.isDraining.store(true, ordering: .sequentiallyConsistent)
        core.connections.closing()
        sweep(at: Clock.now)
    }

    /// Returns whether more may wait.
    private func accept() -> Bool {
        state.withLock { state in
            guard let listener = state.listener?.descriptor else { return false }
            for _ in 0..<256 {
                core.connections.expect()
                switch daemon.accept(from: listener) {
                case .taken: continue
                case .overLimit:
                    core.counters.overLimit.add(1, ordering: .relaxed)
                    core.connections.refused()
                case .nothing(let code):
                    core.connections.refused()
                    if code == ECONNABORTED || code == EINTR { continue }
                    if code != EAGAIN { pause(&state, code) }
                    return false
                }
            }
            return true
        }
    }

    /// No descriptor or no memory is left: asked again at the next sweep, or this thread would spin.
    private func pause(_ state: inout State, _ code: Int32) {
        guard let descriptor = state.listener?.descriptor, !state.isPaused else { return }
        state.isPaused = true
        core.events.forget(descriptor)
        core.log.warning("cannot accept connections for now", ["reason": String(cString: strerror(code))])
    }

    private func sweep(at now: Moment) {
        state.withLock { state in
            guard state.isPaused, let descriptor = state.listener?.descriptor else { return }
            state.isPaused = false
            core.events.watchForInput(descriptor, id: SocketEvents.listener)
        }
        core.lingering.sweep(at: now)
        let isDraining = core.isDraining.load(ordering: .relaxed)
        for record in core.connections.all {
            if isDraining { record.endWaiting() }
            if let cut = record.sweep(at: now, isDraining: isDraining) { core.counters.cut(cut) }
        }
    }
}
