internal import Locking
package import Streams
internal import ThreadExecutor

/// Where a broker listens.
package typealias BrokerAddress = BrokerURI.Address

/// A TCP proxy on loopback that hurts what goes through it: resets, holds up, swallows, delays, refuses.
///
/// One thread of its own moves the bytes. Everything may be called from any thread; an order is in force when the call returns.
package final class FaultProxy: Sendable {
    /// What happens to the bytes of one direction.
    package enum Flow: Sendable, Hashable {
        case pass
        /// They wait, in the proxy and before it, and go on when the flow passes again: a network that stands still.
        case hold
        /// They are lost, and nobody is told, not even of a connection's end: a peer that has died silently. Connections that have lost bytes
        /// are reset when the flow changes.
        case swallow
        /// They arrive this much later.
        case delay(Duration)
    }

    private let loop: ProxyLoop
    private let executor: ThreadExecutor
    private let ports = Locked<[BrokerAddress: Int]>([:])

    /// Throws where the process has no descriptors left.
    package init() throws {
        loop = try ProxyLoop()
        executor = ThreadExecutor(name: "fault-proxy", parking: loop)
    }

    deinit {
        executor.submit { [loop] in loop.close() }
        executor.stop()
    }

    /// The port on 127.0.0.1 that leads to the broker; the same one for the same broker.
    package func port(to broker: BrokerAddress) throws -> Int {
        try ports.withLock { ports in
            if let known = ports[broker] { return known }
            let (descriptor, port) = try ProxySocket.listening()
            ports[broker] = port
            executor.submit { [loop] in loop.listen(descriptor, to: broker) }
            return port
        }
    }

    package func set(toBroker: Flow = .pass, fromBroker: Flow = .pass) async {
        await order { $0.set(toBroker: toBroker, fromBroker: fromBroker) }
    }

    /// Ends all connections with a reset on both sides.
    package func reset() async { await order { $0.reset() } }

    /// Resets all connections on the side of the binder; those to the broker stay open and silent, as when the binder's host has lost its network.
    package func abandon() async { await order { $0.abandon() } }

    /// While true, connections are refused, as when nobody listens.
    package func refuse(_ refused: Bool) async { await order { $0.refuse(refused) } }

    /// How many connections were made since the start; attempts that were refused do not count.
    package var accepted: Int { loop.counts.withLock { $0.accepted } }
    /// How many connections are open on the side of the binder.
    package var open: Int { loop.counts.withLock { $0.open } }
    /// How many were open at once at the most.
    package var mostOpen: Int { loop.counts.withLock { $0.mostOpen } }
    /// How many bytes have come from the binder and from the broker.
    package var bytes: (toBroker: Int, fromBroker: Int) { loop.counts.withLock { ($0.toBroker, $0.fromBroker) } }

    private func order(_ body: @escaping @Sendable (ProxyLoop) -> Void) async {
        try? await executor.run { [loop] in body(loop) }
    }
}
