import Lifecycle
import Locking
import Streams
import Telemetry

extension BusBridge {
    /// How many acknowledgements are on the way at once: those of a large fleet come in a burst, and a confirm takes its time.
    private static let width = 32
    /// For a side that is away.
    private static let backOff = BackOff(first: .milliseconds(200), longest: .seconds(15))

    /// Subscribed until shutdown, again and again where a subscription ends.
    func carry(_ route: Route, until shutdown: ShutdownSignal) async {
        var backOff = Self.backOff
        while !shutdown.isRequested, !Task.isCancelled {
            let stood = Locked(false)
            do {
                try await subscribe(route, until: shutdown) { stood.withLock { $0 = true } }
                if !shutdown.isRequested { set(.waiting("the subscription has ended"), route) }
            } catch {
                if Task.isCancelled || shutdown.isRequested { return }
                set(.waiting("\(error)"), route)
                log.warning(
                    "the bridge is not subscribed; trying again", ["bridge": id, "from": sides[route.from].name, "error": "\(error)"])
            }
            if stood.withLock({ $0 }) { backOff.reset() }
            await shutdown.wait(atMost: backOff.next())
        }
    }

    private func subscribe(_ route: Route, until shutdown: ShutdownSignal, stands: @escaping @Sendable () -> Void) async throws {
        let source = sides[route.from]
        var options = SubscriptionOptions(prefetch: 64)
        options.events = { [self] event in
            switch event {
            case .ready, .resumed: set(.ready, route)
            case .interrupted(let reason): set(.waiting(reason), route)
            case .gap:
                set(.ready, route)
                log.warning("messages may have been lost before the bridge read them", ["bridge": id, "from": source.name])
            }
        }
        // Where a broker keeps no groups, what comes while the bridge is cut off from it is lost as it is for every other instance there.
        let group = source.binder.capabilities.contains(.durableGroups) ? groups[route.to] : nil
        try await withThrowingTaskGroup(of: Void.self) { [options] tasks in
            let over = ShutdownSignal()
            let stood = ShutdownSignal()
            tasks.addTask {
                defer { over.request() }
                try await source.binder.withSubscription(to: source.destination, group: group, options: options) { deliveries in
                    stood.request()
                    stands()
                    self.set(.ready, route)
                    try await self.carry(&deliveries, route, until: shutdown)
                }
            }
            await ShutdownSignal.first(of: shutdown, stood, over)
            if !stood.isRequested, shutdown.isRequested { tasks.cancelAll() }
            while try await tasks.next() != nil {}
        }
    }

    /// In the order in which they came; only acknowledgements of different instances overtake each other.
    private func carry(_ deliveries: inout Deliveries, _ route: Route, until shutdown: ShutdownSignal) async throws {
        let stuck = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            var origins: Set<String> = []
            while !stuck.isRequested, let delivery = try await deliveries.next(until: shutdown) {
                let received = delivery.take()
                let event = try? BusEvent(decoding: received.envelope.payload) { "" }
                let isAlone = event?.acknowledgement == nil
                if isAlone || origins.count >= Self.width || event.map({ origins.contains($0.origin) }) == true {
                    while try await tasks.next() != nil {}
                    origins = []
                }
                if let event, !isAlone { origins.insert(event.origin) }
                tasks.addTask {
                    if await !self.carry(received, event, route) { stuck.request() }
                }
                if isAlone { while try await tasks.next() != nil {} }
            }
            while try await tasks.next() != nil {}
        }
    }

    /// Carries one message and settles it; false where the bridge is ending, and the message went back to its broker.
    private func carry(_ received: ReceivedEnvelope, _ event: BusEvent?, _ route: Route) async -> Bool {
        let identity = BridgeMemory.Identity(event, received.envelope)
        let hops = BusHeader.text(received.envelope.headers, BusHeader.hops)
        let verdict = state.withLock { $0.memory.arrived(identity, from: route.from, to: route.to, hops: hops) }
        var outcome = DeliveryOutcome.accept
        switch verdict {
        case .drop(let reason): count(reason.rawValue, route)
        case .carry(let hops):
            var envelope = received.envelope
            envelope.headers[BusHeader.hops] = .string(hops)
            switch await publish(envelope, route) {
            case .confirmed:
                state.withLock { $0.memory.carried(identity, to: route.to) }
                count("carried", route)
            case .refused(let error):
                count("refused", route)
                log.error(
                    "a message cannot be carried and goes to the dead letters",
                    ["bridge": id, "from": sides[route.from].name, "to": sides[route.to].name, "message": envelope.id, "error": "\(error)"])
                outcome = .reject(FailureReason(message: error.message, kind: "\(error.code)"))
            case .ending:
                received.settlement.abandon()
                return false
            }
        }
        do { try await received.settlement.settle(outcome) } catch {
            // It comes again, and is known then.
            log.info("a carried message could not be settled", ["bridge": id, "from": sides[route.from].name, "error": "\(error)"])
        }
        return true
    }

    private enum Publication {
        case confirmed
        /// The broker will never take it.
        case refused(BinderError)
        case ending
    }

    /// Tries until the broker has confirmed it. What was not confirmed in time may have arrived all the same: receivers know it by its id.
    private func publish(_ envelope: Envelope, _ route: Route) async -> Publication {
        let target = sides[route.to]
        var backOff = Self.backOff
        while !Task.isCancelled {
            do throws(BinderError) {
                _ = try await target.binder.publish(envelope, to: target.destination)
                return .confirmed
            } catch {
                switch error.code {
                case .cancelled, .closed: return .ending
                case .tooLarge, .invalid: return .refused(error)
                default: break
                }
                count("waits", route)
                log.warning(
                    "a message cannot be carried yet; trying again",
                    ["bridge": id, "from": sides[route.from].name, "to": target.name, "error": "\(error)"])
                try? await Task.sleep(for: backOff.next())  // between two tries
            }
        }
        return .ending
    }
}
