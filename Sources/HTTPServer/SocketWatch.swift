import CPosix
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
                accept()
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
        accept()
        state.withLock { $0.listener = nil }
        core.isDraining.store(true, ordering: .sequentiallyConsistent)
        core.connections.closing()
        sweep(at: Clock.now)
    }

    private func accept() {
        state.withLock { state in
            guard let listener = state.listener?.descriptor else { return }
            for _ in 0..<256 {
                var address = sockaddr_in6()
                var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
                let isOver = withUnsafeMutablePointer(to: &address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                        let descriptor = carillon_accept(listener, address, &length)
                        guard descriptor >= 0 else { return errno != ECONNABORTED && errno != EINTR }
                        core.connections.expect()
                        if !daemon.add(descriptor, address, length) {
                            core.connections.refused()
                            core.counters.overLimit.add(1, ordering: .relaxed)
                        }
                        return false
                    }
                }
                guard isOver else { continue }
                if errno != EAGAIN { pause(&state) }
                return
            }
        }
    }

    /// No descriptor or no memory is left: asked again at the next sweep, or this thread would spin.
    private func pause(_ state: inout State) {
        guard let descriptor = state.listener?.descriptor, !state.isPaused else { return }
        state.isPaused = true
        core.events.forget(descriptor)
        core.log.warning("cannot accept connections for now", ["reason": String(cString: strerror(errno))])
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
