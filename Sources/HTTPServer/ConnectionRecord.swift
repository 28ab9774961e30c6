import CMicroHTTPD
import CPosix
import Glibc
import HTTP
import Locking

/// One accepted socket, from the library's notification that it began to the one that it ends: the shell around `ConnectionState`.
///
/// The library holds one reference (its socket context) between those two notifications. Everything in `shared` is touched under its lock, from
/// any thread; suspend, resume and `shutdown` are called under it too, so that none of them can meet a connection or a descriptor that is gone.
final class ConnectionRecord: @unchecked Sendable {  // `exchange` is the library's thread's alone; all else is constant or under the lock
    private struct Shared {
        var state: ConnectionState
        var answer: HTTPResponse?
        var task: Task<Void, Never>?
        var queue: StreamQueue
        var writers: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWriter: UInt64 = 0

        mutating func takeWriters() -> [CheckedContinuation<Void, Never>] {
            defer { writers = [:] }
            return Array(writers.values)
        }
    }

    let id: UInt64
    let descriptor: Int32
    var exchange = Exchange()
    private let connection: OpaquePointer
    private let streamBuffer: Int
    private let shared: Locked<Shared>
    /// For caches: made once, since a closure for each request would cost an allocation.
    let lookUp: @Sendable (StaticString) -> UnsafePointer<CChar>?

    init(id: UInt64, descriptor: Int32, connection: OpaquePointer, limits: ConnectionLimits, streamBuffer: Int) {
        self.id = id
        self.descriptor = descriptor
        self.connection = connection
        self.streamBuffer = streamBuffer
        let handle = ConnectionHandle(pointer: connection)
        lookUp = { name in
            UnsafeRawPointer(name.utf8Start).withMemoryRebound(to: CChar.self, capacity: name.utf8CodeUnitCount + 1) {
                MHD_lookup_connection_value(handle.pointer, .HEADER_KIND, $0)
            }
        }
        shared = Locked(
            Shared(state: ConnectionState(limits: limits, at: Clock.now), queue: StreamQueue(limit: streamBuffer)))
    }

    // MARK: on the library's thread, in callbacks of this connection

    func requestLine(_ target: UnsafeRawBufferPointer) {
        exchange.begin(target: target)
        shared.withLock { $0.state.requestLine(at: Clock.now) }
    }

    func headerEnded(_ framing: HeaderBlock.Framing, method: @autoclosure () -> String) {
        exchange.headerEnded(framing, method: method())
        // Without a body the library goes on to the handler at once: nothing to watch in between.
        if framing.hasBody { shared.withLock { $0.state.headerEnded(hasBody: true, at: Clock.now) } }
    }

    func bodyCame(_ count: Int) { shared.withLock { $0.state.bodyCame(count) } }

    /// Suspends the connection until `answer` or `finish`. Returns the request's number, or nil when its client has left.
    func beginHandling(endsWithClient: Bool) -> UInt64? {
        shared.withLock { shared in
            guard shared.state.handlingBegins(endsWithClient: endsWithClient) else { return nil }
            shared.answer = nil
            shared.queue = StreamQueue(limit: streamBuffer)
            suspend(&shared)
            return shared.state.request
        }
    }

    /// Keeps the task of a request, to cancel it when its client leaves; one that has ended already is not kept.
    func keep(_ task: Task<Void, Never>, of request: UInt64) {
        let isOver = shared.withLock { shared in
            guard shared.state.isAwaited(request) else { return true }
            shared.task = task
            return false
        }
        if isOver { task.cancel() }
    }

    func takeAnswer() -> HTTPResponse? {
        shared.withLock { shared in
            defer { shared.answer = nil }
            return shared.answer
        }
    }

    func sendingBegins(lingers: Bool) { shared.withLock { $0.state.sendingBegins(lingers: lingers, at: Clock.now) } }

    func streamingBegins(lingers: Bool) {
        end { state in !state.streamingBegins(lingers: lingers, at: Clock.now) }
    }

    enum Piece { case bytes(Int), nothingYet, end, broken }

    /// The next bytes of a stream. `nothingYet`: the connection was suspended and is resumed by the next write.
    func nextPiece(into room: UnsafeMutableRawBufferPointer) -> Piece {
        let (piece, writers) = shared.withLock { shared -> (Piece, [CheckedContinuation<Void, Never>]) in
            let taken = shared.queue.take(into: room)
            if taken > 0 { return (.bytes(taken), shared.queue.hasRoom ? shared.takeWriters() : []) }
            if shared.queue.hasEnded {
                if shared.queue.hasFailed { end(&shared) }
                return (shared.queue.hasFailed ? .broken : .end, shared.takeWriters())
            }
            suspend(&shared)
            return (.nothingYet, shared.takeWriters())
        }
        for writer in writers { writer.resume() }
        return piece
    }

    /// The connection is given up. The library learns that from its socket: what it is told by a callback's result alone, it may act on much later.
    func giveUp() { shared.withLock { end(&$0) } }

    /// The answer is out, or the connection broke under it: then the task is cancelled.
    func requestEnded(whole: Bool) {
        let (task, writers) = shared.withLock { shared -> (Task<Void, Never>?, [CheckedContinuation<Void, Never>]) in
            shared.state.requestEnded(at: Clock.now)
            defer { shared.task = nil }
            guard shared.task != nil else { return (nil, []) }
            shared.queue.drop()
            return (whole ? nil : shared.task, shared.takeWriters())
        }
        for writer in writers { writer.resume() }
        task?.cancel()
    }

    /// The last sight of the descriptor. Returns whether what the client still sends is to be read before the socket closes.
    func closed() -> Bool {
        shared.withLock { shared in
            shared.state.closed()
            shared.queue.drop()
            return shared.state.lingers
        }
    }

    // MARK: from the request's task

    func answer(_ response: HTTPResponse, to request: UInt64) {
        shared.withLock { shared in
            guard shared.state.isAwaited(request) else { return }
            shared.answer = response
            resume(&shared)
        }
    }

    /// Adds to the stream of a request. Waits while the queue is full; throws `CancellationError` when nobody reads any more.
    func write(_ bytes: [UInt8], to request: UInt64) async throws {
        while true {
            try Task.checkCancellation()
            let offer = shared.withLock { shared -> StreamQueue.Offer in
                guard shared.state.isOpen(request) else { return .ended }
                let offer = shared.queue.offer(bytes)
                if offer == .taken, shared.state.phase == .streaming { resume(&shared) }
                return offer
            }
            switch offer {
            case .taken: return
            case .ended: throw CancellationError()
            case .full: await untilRoom(in: request)
            }
        }
    }

    private func untilRoom(in request: UInt64) async {
        let id = shared.withLock { shared in
            shared.nextWriter += 1
            return shared.nextWriter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = shared.withLock { shared in
                    guard !shared.queue.hasRoom, shared.state.isOpen(request), !shared.queue.hasEnded, !Task.isCancelled else {
                        return true
                    }
                    shared.writers[id] = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            shared.withLock { $0.writers.removeValue(forKey: id) }?.resume()
        }
    }

    /// The stream of a request is whole, or broke.
    func finish(_ request: UInt64, failed: Bool) {
        shared.withLock { shared in
            guard shared.state.isOpen(request) else { return }
            shared.queue.end(failed: failed)
            if shared.state.phase == .streaming { resume(&shared) }
        }
    }

    // MARK: from the watching thread

    /// The client has closed its side.
    func clientLeft() { end { $0.clientLeft(at: Clock.now) } }

    /// The server ends: streams and long polls are over. What a stream has queued still goes out.
    func endWaiting() {
        let (task, writers) = shared.withLock { shared -> (Task<Void, Never>?, [CheckedContinuation<Void, Never>]) in
            guard shared.state.endsWithClient else { return (nil, []) }
            if shared.state.phase == .streaming {
                shared.queue.end()
                resume(&shared)
            }
            return (shared.task, shared.takeWriters())
        }
        for writer in writers { writer.resume() }
        task?.cancel()
    }

    /// The time for a drain is over: whatever is in hand ends without an answer.
    func abandon() {
        end { state in
            state.abandoned(at: Clock.now)
            return true
        }
    }

    /// Cuts the connection when it has not moved on in time. Returns why.
    func sweep(at now: Moment, isDraining: Bool) -> ConnectionState.Cut? {
        let (cut, task, writers) = shared.withLock {
            shared -> (ConnectionState.Cut?, Task<Void, Never>?, [CheckedContinuation<Void, Never>]) in
            var verdict = shared.state.judge(
                at: now, isDraining: isDraining, hasUnsent: !shared.queue.isEmpty, hasUnread: isDraining && hasUnread(&shared))
            if verdict == .measure { verdict = shared.state.measured(carillon_tcp_bytes_acked(descriptor), at: now) }
            guard case .cut(let cut) = verdict else { return (nil, nil, []) }
            end(&shared)
            shared.queue.drop()
            resume(&shared)
            return (cut, shared.task, shared.takeWriters())
        }
        for writer in writers { writer.resume() }
        task?.cancel()
        return cut
    }

    private func end(_ event: (inout ConnectionState) -> Bool) {
        let (task, writers) = shared.withLock { shared -> (Task<Void, Never>?, [CheckedContinuation<Void, Never>]) in
            guard event(&shared.state) else { return (nil, []) }
            shared.queue.drop()
            resume(&shared)
            return (shared.task, shared.takeWriters())
        }
        for writer in writers { writer.resume() }
        task?.cancel()
    }

    private func hasUnread(_ shared: inout Shared) -> Bool {
        shared.state.phase != .closed && carillon_has_input(descriptor) != 0
    }

    private func end(_ shared: inout Shared) {
        guard shared.state.phase != .closed else { return }  // the descriptor may be another connection's by now
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private func suspend(_ shared: inout Shared) {
        shared.state.suspended()
        MHD_suspend_connection(connection)
    }

    private func resume(_ shared: inout Shared) {
        if shared.state.takeResume() { MHD_resume_connection(connection) }
    }
}

/// A connection of the library, which may be read from closures that it calls itself.
private struct ConnectionHandle: @unchecked Sendable {  // used on the library's thread of this connection only
    let pointer: OpaquePointer
}
