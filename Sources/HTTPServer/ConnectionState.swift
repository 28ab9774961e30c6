/// One accepted connection as a value: in what phase its request is, and by when that has to have moved on.
///
///     header ─► body ─► handling ─► sending ───► idle ─► header …          cut, or the client closed: closed, from anywhere
///        └────────────────┴───────► streaming ──┘
///
/// No clock and no socket: events carry the moment, and the shell (`ConnectionRecord`) does what comes back.
struct ConnectionState {
    enum Phase: Equatable { case header, body, handling, sending, streaming, idle, closed }

    /// Why a connection was cut; also the label of the metric.
    enum Cut: String, CaseIterable { case header, idle, body, send, left, drain }

    enum Verdict: Equatable {
        case stay
        /// The client has to show by acknowledged bytes that it reads: call `measured`.
        case measure
        case cut(Cut)
    }

    private(set) var phase = Phase.header
    /// Counts the requests of the connection: an answer that comes late carries the number of its request and cannot end the next one's wait.
    private(set) var request: UInt64 = 0
    /// Suspended in the library: exactly one resume is owed.
    private(set) var isSuspended = false
    /// The client has closed its side at least.
    private(set) var hasLeft = false
    /// The request in hand is over when the client leaves: a long poll or a stream.
    private(set) var endsWithClient = false
    /// Bytes that follow are read and thrown away before the socket closes, so that no reset overtakes the answer.
    private(set) var lingers = false

    private let limits: ConnectionLimits
    private var since: Moment
    private var deadline: Moment
    private var received = 0
    private var leftAt: Moment = 0
    private var mark: (at: Moment, acked: UInt64)?
    private var wasCut = false

    init(limits: ConnectionLimits, at now: Moment) {
        self.limits = limits
        since = now
        deadline = now + limits.header
    }

    // MARK: a request's way

    /// A request line is there; the deadline of the wait before it goes on to hold.
    mutating func requestLine(at now: Moment) {
        guard phase != .closed else { return }
        request += 1
        phase = .header
        since = now
        deadline = min(deadline, now + limits.header)
        received = 0
        endsWithClient = false
        mark = nil
    }

    mutating func headerEnded(hasBody: Bool, at now: Moment) {
        guard phase == .header else { return }
        phase = hasBody ? .body : .handling
        since = now
    }

    mutating func bodyCame(_ count: Int) { received += count }

    /// The request is whole and its handler is asked. False: the client of a long poll has left already, so the handler is not to be asked.
    mutating func handlingBegins(endsWithClient: Bool) -> Bool {
        guard phase != .closed, !(endsWithClient && hasLeft) else { return false }
        phase = .handling
        self.endsWithClient = endsWithClient
        return true
    }

    mutating func sendingBegins(lingers: Bool, at now: Moment) {
        guard phase != .closed else { return }
        phase = .sending
        since = now
        mark = nil
        self.lingers = self.lingers || lingers
    }

    /// False: the client has left already, so the stream is over before it began.
    mutating func streamingBegins(lingers: Bool, at now: Moment) -> Bool {
        guard phase != .closed else { return false }
        phase = .streaming
        since = now
        mark = nil
        endsWithClient = true
        self.lingers = self.lingers || lingers
        return !hasLeft
    }

    mutating func requestEnded(at now: Moment) {
        guard phase != .closed else { return }
        phase = .idle
        since = now
        deadline = now + limits.idle
    }

    /// The socket is about to be closed; nothing may touch it from now on.
    mutating func closed() {
        phase = .closed
        isSuspended = false
    }

    // MARK: waiting

    /// Call together with the library's suspend.
    mutating func suspended() { isSuspended = true }

    /// Whether the library has to resume the connection now.
    mutating func takeResume() -> Bool {
        defer { isSuspended = false }
        return isSuspended
    }

    /// Whether `request` is the one in hand, still waiting for its answer or for more of its stream.
    func isOpen(_ request: UInt64) -> Bool { request == self.request && (phase == .handling || phase == .streaming) }

    /// Whether an answer to `request` has a reader. What a handler says after it was cancelled, because its client left or its time was up, has none.
    func isAwaited(_ request: UInt64) -> Bool { isOpen(request) && !(endsWithClient && hasLeft) }

    // MARK: the client's and the clock's part

    /// The client has closed its side. Returns whether the request in hand ends by that; others still get their answer.
    mutating func clientLeft(at now: Moment) -> Bool {
        hasLeft = true
        leftAt = now
        return endsWithClient
    }

    /// The handler's time is up (a drain's end): as if its client had left.
    mutating func abandoned(at now: Moment) {
        endsWithClient = true
        hasLeft = true
        leftAt = now
    }

    /// What is to be done at `now`. `isDraining`: nothing new is begun. `hasUnsent`: a stream has bytes that its client could take. `hasUnread`: bytes of
    /// the client wait in the kernel, so that it is not the one who is slow.
    mutating func judge(at now: Moment, isDraining: Bool, hasUnsent: Bool, hasUnread: Bool = false) -> Verdict {
        let verdict = wasCut ? .stay : verdict(at: now, isDraining: isDraining && !hasUnread, hasUnsent: hasUnsent)
        if case .cut = verdict { wasCut = true }
        return verdict
    }

    private mutating func verdict(at now: Moment, isDraining: Bool, hasUnsent: Bool) -> Verdict {
        switch phase {
        case .closed, .handling: return .stay
        case .header:
            if now > deadline { return .cut(.header) }
            if isDraining, now - since > limits.drainHeader { return .cut(.drain) }
        case .idle:
            if now > deadline { return .cut(.idle) }
            if isDraining { return .cut(.drain) }
        case .body:
            let elapsed = now - since
            if elapsed > limits.bodyGrace, Int64(received) < elapsed * limits.bodyRate / 1000 { return .cut(.body) }
        case .sending:
            return measures(at: now) ? .measure : .stay
        case .streaming:
            guard hasUnsent else {
                mark = nil
                return .stay
            }
            return measures(at: now) ? .measure : .stay
        }
        if hasLeft, now - max(leftAt, since) > limits.left { return .cut(.left) }
        return .stay
    }

    private func measures(at now: Moment) -> Bool { mark.map { now - $0.at > limits.sendGrace } ?? true }

    /// `acked` are all bytes of the connection that its client has acknowledged. Returns whether it reads too slowly.
    mutating func measured(_ acked: UInt64, at now: Moment) -> Verdict {
        defer { mark = (now, acked) }
        guard let mark, Int64(acked &- mark.acked) < (now - mark.at) * limits.sendRate / 1000 else { return .stay }
        wasCut = true
        return .cut(.send)
    }
}
