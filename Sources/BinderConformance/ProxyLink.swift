internal import CPosix
internal import Glibc

/// One connection through a proxy: a socket on either side, and what is under way between them.
final class ProxyLink {
    /// One direction.
    struct Pipe {
        var flow = FaultProxy.Flow.pass
        /// Bytes under way, oldest first, each with the time from which they may go on.
        var waiting: [(due: ContinuousClock.Instant, bytes: [UInt8])] = []
        /// How much of the first was sent.
        var sent = 0
        var size = 0
        /// The source has said that nothing more comes.
        var hasEnded = false
        var toldEnd = false
        /// Bytes were swallowed: what follows makes no sense any more.
        var hasLost = false

        var mayRead: Bool { !hasEnded && flow != .hold && size < 1 << 20 }

        func maySend(_ now: ContinuousClock.Instant) -> Bool {
            guard flow != .hold, flow != .swallow else { return false }
            return waiting.first.map { $0.due <= now } ?? (hasEnded && !toldEnd)
        }

        var due: ContinuousClock.Instant? { flow == .hold || flow == .swallow ? nil : waiting.first?.due }
    }

    private(set) var client: Int32
    private(set) var broker: Int32
    private var isConnected = false
    private(set) var toBroker = Pipe()
    private(set) var fromBroker = Pipe()

    init(client: Int32, broker: Int32) {
        self.client = client
        self.broker = broker
    }

    var isEnded: Bool { client < 0 && broker < 0 }
    /// When the next bytes that wait may go on.
    var due: ContinuousClock.Instant? { [toBroker.due, fromBroker.due].compactMap { $0 }.min() }

    func set(toBroker: FaultProxy.Flow, fromBroker: FaultProxy.Flow, _ now: ContinuousClock.Instant) {
        Self.set(&self.toBroker, toBroker, now)
        Self.set(&self.fromBroker, fromBroker, now)
    }

    private static func set(_ pipe: inout Pipe, _ flow: FaultProxy.Flow, _ now: ContinuousClock.Instant) {
        if case .delay = pipe.flow, flow == .pass { pipe.waiting = pipe.waiting.map { (now, $0.bytes) } }
        pipe.flow = flow
    }

    func reset() {
        if client >= 0 { ProxySocket.reset(client) }
        if broker >= 0 { ProxySocket.reset(broker) }
        (client, broker) = (-1, -1)
    }

    /// Resets the binder's side and keeps the broker's, silent.
    func abandon() {
        if client >= 0 { ProxySocket.reset(client) }
        client = -1
        toBroker = Pipe()
        toBroker.hasEnded = true
        toBroker.toldEnd = true
        fromBroker.waiting = []
        fromBroker.size = 0
        fromBroker.flow = .swallow
    }

    // MARK: Polling

    /// A socket of which nothing is wanted is left out: it would report an end for ever.
    func interestInClient(_ now: ContinuousClock.Instant) -> pollfd {
        interest(client, reads: isConnected && toBroker.mayRead, sends: fromBroker.maySend(now))
    }

    func interestInBroker(_ now: ContinuousClock.Instant) -> pollfd {
        interest(broker, reads: isConnected && fromBroker.mayRead, sends: !isConnected || toBroker.maySend(now))
    }

    private func interest(_ descriptor: Int32, reads: Bool, sends: Bool) -> pollfd {
        let events = Int16(reads ? POLLIN : 0) | Int16(sends ? POLLOUT : 0)
        return pollfd(fd: events == 0 ? -1 : descriptor, events: events, revents: 0)
    }

    /// Moves what can be moved; returns how many bytes were read.
    func turn(client clientEvents: Int16, broker brokerEvents: Int16, _ now: ContinuousClock.Instant) -> (toBroker: Int, fromBroker: Int) {
        if !isConnected {
            guard brokerEvents != 0 else { return (0, 0) }
            guard ProxySocket.connectionError(broker) == 0 else {
                reset()
                return (0, 0)
            }
            isConnected = true
        }
        var read = (toBroker: 0, fromBroker: 0)
        if clientEvents & ~Int16(POLLOUT) != 0 { read.toBroker = Self.read(client, into: &toBroker, now) ?? failed(client) }
        if brokerEvents & ~Int16(POLLOUT) != 0, broker >= 0 {
            read.fromBroker = Self.read(broker, into: &fromBroker, now) ?? failed(broker)
        }
        if broker >= 0, toBroker.maySend(now), !Self.send(&toBroker, to: broker, now) { _ = failed(broker) }
        if client >= 0, fromBroker.maySend(now), !Self.send(&fromBroker, to: client, now) { _ = failed(client) }
        if toBroker.toldEnd, fromBroker.toldEnd, fromBroker.flow != .swallow { end() }
        return read
    }

    private func end() {
        if client >= 0 { close(client) }
        if broker >= 0 { close(broker) }
        (client, broker) = (-1, -1)
    }

    /// One side is gone. The other is told by a reset, unless its direction swallows everything.
    private func failed(_ descriptor: Int32) -> Int {
        if descriptor == client, toBroker.flow == .swallow || toBroker.flow == .hold {
            ProxySocket.reset(client)
            client = -1
            toBroker.hasEnded = true
        } else if descriptor == broker, fromBroker.flow == .swallow || fromBroker.flow == .hold {
            ProxySocket.reset(broker)
            broker = -1
            fromBroker.hasEnded = true
        } else {
            reset()
        }
        return 0
    }

    /// How many bytes came; nil where the socket has failed.
    private static func read(_ descriptor: Int32, into pipe: inout Pipe, _ now: ContinuousClock.Instant) -> Int? {
        guard descriptor >= 0, pipe.mayRead else { return 0 }
        var result = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            result = carillon_receive_at_hand(descriptor, buffer.baseAddress, buffer.count)
            count = max(0, result)
        }
        guard result > 0 else {
            if result < 0 { return errno == EAGAIN || errno == EINTR ? 0 : nil }
            pipe.hasEnded = true
            return 0
        }
        switch pipe.flow {
        case .swallow: pipe.hasLost = true
        case .delay(let delay): add(bytes, to: &pipe, now + delay)
        case .pass, .hold: add(bytes, to: &pipe, now)
        }
        return result
    }

    private static func add(_ bytes: [UInt8], to pipe: inout Pipe, _ due: ContinuousClock.Instant) {
        pipe.waiting.append((due, bytes))
        pipe.size += bytes.count
    }

    /// Sends what is due; false where the socket has failed.
    private static func send(_ pipe: inout Pipe, to descriptor: Int32, _ now: ContinuousClock.Instant) -> Bool {
        while let first = pipe.waiting.first, first.due <= now {
            let count = first.bytes[pipe.sent...].withUnsafeBytes { carillon_send_at_hand(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 else { return errno == EAGAIN || errno == EINTR }
            pipe.sent += count
            guard pipe.sent == first.bytes.count else { return true }
            pipe.waiting.removeFirst()
            pipe.size -= pipe.sent
            pipe.sent = 0
        }
        if pipe.waiting.isEmpty, pipe.hasEnded, !pipe.toldEnd {
            pipe.toldEnd = true
            shutdown(descriptor, Int32(SHUT_WR))
        }
        return true
    }
}
