internal import CPosix
internal import Glibc
internal import Locking
internal import ThreadExecutor

/// What a proxy's thread does: waits for its sockets and moves bytes between them.
final class ProxyLoop: Parking, @unchecked Sendable {  // all but `counts` and `alarm` is touched on the proxy's thread only
    struct Counts {
        var accepted = 0
        var open = 0
        var mostOpen = 0
        var toBroker = 0
        var fromBroker = 0
    }
    private struct Door {
        let descriptor: Int32
        let broker: BrokerAddress
    }
    let counts = Locked(Counts())
    private let alarm: Int32
    private var doors: [Door] = []
    private var links: [ProxyLink] = []
    private var toBroker = FaultProxy.Flow.pass
    private var fromBroker = FaultProxy.Flow.pass
    private var isRefusing = false

    init() throws {
        alarm = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard alarm >= 0 else { throw ProxySocket.Refused("open a descriptor") }
    }

    deinit { Glibc.close(alarm) }

    func wake() {
        var one: UInt64 = 1
        _ = write(alarm, &one, 8)
    }

    // MARK: Orders

    func listen(_ descriptor: Int32, to broker: BrokerAddress) {
        doors.append(Door(descriptor: descriptor, broker: broker))
        if isRefusing { shutdown(descriptor, Int32(SHUT_RD)) }
    }

    func set(toBroker: FaultProxy.Flow, fromBroker: FaultProxy.Flow) {
        let now = ContinuousClock.now
        if self.toBroker != toBroker { end(where: \.toBroker.hasLost) { $0.reset() } }
        if self.fromBroker != fromBroker { end(where: \.fromBroker.hasLost) { $0.reset() } }
        (self.toBroker, self.fromBroker) = (toBroker, fromBroker)
        for link in links { link.set(toBroker: toBroker, fromBroker: fromBroker, now) }
    }

    func reset() { end(where: { _ in true }) { $0.reset() } }

    func abandon() {
        for link in links { link.abandon() }
        count()
    }

    func refuse(_ refused: Bool) {
        guard refused != isRefusing else { return }
        isRefusing = refused
        // On Linux a listening socket that is shut down refuses connections on its port until it listens again.
        for door in doors { _ = refused ? shutdown(door.descriptor, Int32(SHUT_RD)) : Glibc.listen(door.descriptor, 128) }
    }

    func close() {
        for link in links { link.reset() }
        for door in doors { Glibc.close(door.descriptor) }
        (links, doors) = ([], [])
    }

    private func end(where matches: (ProxyLink) -> Bool, _ body: (ProxyLink) -> Void) {
        for link in links where matches(link) { body(link) }
        links.removeAll { $0.isEnded }
        count()
    }

    private func count() {
        let open = links.count { $0.client >= 0 }
        counts.withLock { $0.open = open }
    }

    // MARK: Turns

    func park() {
        let now = ContinuousClock.now
        var polls = [pollfd(fd: alarm, events: Int16(POLLIN), revents: 0)]
        for door in doors { polls.append(pollfd(fd: isRefusing ? -1 : door.descriptor, events: Int16(POLLIN), revents: 0)) }
        var due: ContinuousClock.Instant?
        for link in links {
            polls.append(link.interestInClient(now))
            polls.append(link.interestInBroker(now))
            if let one = link.due { due = min(due ?? one, one) }
        }
        var limit: Int32 = -1
        if let due {
            let left = (due - now).components
            limit = Int32(clamping: max(0, left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1))
        }
        guard poll(&polls, nfds_t(polls.count), limit) >= 0 else { return }
        if polls[0].revents != 0 {
            var number: UInt64 = 0
            _ = read(alarm, &number, 8)
        }
        let later = ContinuousClock.now
        let firstLink = 1 + doors.count
        var moved = (toBroker: 0, fromBroker: 0)
        for (index, link) in links.enumerated() {
            let bytes = link.turn(
                client: polls[firstLink + 2 * index].revents, broker: polls[firstLink + 2 * index + 1].revents, later)
            moved = (moved.toBroker + bytes.toBroker, moved.fromBroker + bytes.fromBroker)
        }
        links.removeAll { $0.isEnded }
        var accepted = 0
        for (index, door) in doors.enumerated() where polls[1 + index].revents & Int16(POLLIN) != 0 { accepted += accept(door, later) }
        let open = links.count { $0.client >= 0 }
        counts.withLock { counts in
            counts.accepted += accepted
            counts.open = open
            counts.mostOpen = max(counts.mostOpen, open)
            counts.toBroker += moved.toBroker
            counts.fromBroker += moved.fromBroker
        }
    }

    private func accept(_ door: Door, _ now: ContinuousClock.Instant) -> Int {
        var count = 0
        while true {
            let client = carillon_accept(door.descriptor, nil, nil)
            guard client >= 0 else { return count }
            count += 1
            let broker = ProxySocket.connecting(to: door.broker)
            guard broker >= 0 else {
                ProxySocket.reset(client)
                continue
            }
            ProxySocket.withoutDelay(client)
            let link = ProxyLink(client: client, broker: broker)
            link.set(toBroker: toBroker, fromBroker: fromBroker, now)
            links.append(link)
        }
    }
}
