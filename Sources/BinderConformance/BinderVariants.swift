package import Streams

/// A binder, not running yet, all of whose connections go through a proxy.
package struct ProxiedBinder: Sendable {
    package let binder: any Binder
    package let proxy: FaultProxy
    package init(binder: any Binder, proxy: FaultProxy) {
        self.binder = binder
        self.proxy = proxy
    }
}

/// Binders on the same broker that differ from the usual one; none of them runs yet. What a capability promises needs its variant.
package struct BinderVariants: Sendable {
    package typealias Make<T: Sendable> = @Sendable () async throws -> T
    /// For `.remote`: through a proxy of its own, and impatient as `BenchTimes` says.
    package var proxied: Make<ProxiedBinder>?
    /// For `.credentials`: the same with a password that the broker refuses.
    package var refused: Make<ProxiedBinder>?
    /// For `.nativePartitions`: one for which the destination has so many partitions.
    package var partitioned: (@Sendable (Destination, _ count: Int) async throws -> any Binder)?
    /// For `.mandatory`: one that asks to be told when nobody is subscribed.
    package var mandatory: Make<any Binder>?
    /// For `.bounded`: one whose broker refuses more than so many events of this group.
    package var bounded: (@Sendable (Destination, ConsumerGroup, _ limit: Int) async throws -> any Binder)?
    /// For `.declarations`: one, and a destination that the broker has with other properties, and the words for what disagrees.
    package var disagreeing: Make<(binder: any Binder, destination: Destination, words: [String])>?

    /// The password of `refused`.
    package static let wrongPassword = "no-such-password"

    package init() {}
}

/// What a test does to a broker of its own. A broker of somebody else is never touched: there the cases hurt the connections instead.
package struct BrokerControl: Sendable {
    /// Makes what was declared so far outlast `restart`, on a broker that says so too early.
    package var keepDeclarations: (@Sendable () async throws -> Void)?
    /// Ends the broker, as a crash does, and starts it on the same address and data.
    package var restart: (@Sendable () async throws -> Void)?
    /// Makes the broker take no more events of this destination; what it has is still handed out.
    package var block: (@Sendable (Destination) async throws -> Void)?
    package var unblock: (@Sendable (Destination) async throws -> Void)?

    package init() {}
}

/// How patient the binders of a bench are made.
package struct BenchTimes: Sendable {
    /// Longest time that one event may take from publish to delivery on this broker before a case fails.
    package var patience: Duration
    /// After this long at the latest a proxied binder notices that its broker is silent.
    package var detection: Duration
    /// After this long at the latest a publish of a proxied binder that is not confirmed ends.
    package var publishLimit: Duration
    /// For so long a delivery may be in hand before the broker, left alone, would give it to somebody else.
    package var claim: Duration
    /// How long a proxied binder is left idle: longer than the broker would wait for one that is silent.
    package var idle: Duration
    /// How many destinations are very many here.
    package var destinations: Int
    /// How many members of a group are very many here.
    package var members: Int

    package init(
        patience: Duration = .seconds(40), detection: Duration = .seconds(8), publishLimit: Duration = .seconds(5),
        claim: Duration = .seconds(2), idle: Duration = .seconds(6), destinations: Int = 1000, members: Int = 50
    ) {
        self.patience = patience
        self.detection = detection
        self.publishLimit = publishLimit
        self.claim = claim
        self.idle = idle
        self.destinations = destinations
        self.members = members
    }
}
