package import Lifecycle
import Locking
import Streams
import Telemetry

extension EventBus {
    /// Subscribed until shutdown: a lost broker is waited for. On shutdown the event in hand is ended, acknowledgements at hand are sent.
    package func run(_ life: ServiceLife) async throws {
        // Not held up by an absent broker: readiness tells of that.
        life.started()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await self.receive(until: life.shutdown)
                self.workInput.finish()
                self.rollCallInput.finish()
            }
            group.addTask {
                for await one in self.work { await self.perform(one) }
                if self.state.withLock({ $0.runsConfiguration }) { self.post(self.report(.left)) }
                self.outgoingInput.finish()
            }
            group.addTask { await self.sendOutgoing(life.shutdown) }
            group.addTask { await self.answerRollCalls(until: life.shutdown) }
            if let interval = configuration.reportInterval {
                group.addTask {
                    while !life.shutdown.isRequested, !Task.isCancelled {
                        // Not all at once where all were started at once.
                        await life.shutdown.wait(atMost: interval * Double.random(in: 0.9...1.1))
                        if !life.shutdown.isRequested, self.readiness.isReady { self.workInput.yield(.report) }
                    }
                }
            }
        }
    }

    /// At most one answer a second, at a random moment of it: a fleet does not answer all at once, and nobody can make it shout.
    private func answerRollCalls(until shutdown: ShutdownSignal) async {
        for await _ in rollCalls {
            await shutdown.wait(atMost: .milliseconds(Int.random(in: 0...1000)))
            if shutdown.isRequested { return }
            workInput.yield(.report)
        }
    }

    private func receive(until shutdown: ShutdownSignal) async {
        var backOff = BackOff(first: .milliseconds(500), longest: .seconds(15))
        while !shutdown.isRequested, !Task.isCancelled {
            let stands = ShutdownSignal()
            do {
                try await subscribe(until: shutdown, stands)
                setReadiness(.waiting("the bus has ended"))
            } catch {
                if Task.isCancelled || shutdown.isRequested { return }
                setReadiness(.waiting("not subscribed to \(configuration.destination): \(error)"))
                log.warning(
                    "not subscribed to the bus; trying again", ["destination": configuration.destination.name, "error": "\(error)"])
            }
            if stands.isRequested { backOff.reset() }
            await shutdown.wait(atMost: backOff.next())
        }
    }

    /// Subscribed until shutdown. `stands` is given once the subscription is established; where that has not come about yet, shutdown does not
    /// wait for it: the broker may be away for long.
    private func subscribe(until shutdown: ShutdownSignal, _ stands: ShutdownSignal) async throws {
        var options = SubscriptionOptions(prefetch: 64)
        options.events = { self.connectionChanged($0) }
        let over = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { [options] group in
            group.addTask {
                defer { over.request() }
                try await self.binder.withSubscription(to: self.configuration.destination, group: nil, options: options) { deliveries in
                    stands.request()
                    self.connectionChanged(.ready)
                    while let delivery = try await deliveries.next(until: shutdown) {
                        await self.receive(delivery.envelope)
                        try? await delivery.accept()  // a broadcast subscription keeps nothing: there is nobody to deliver it to again
                    }
                }
            }
            await ShutdownSignal.first(of: shutdown, stands, over)
            if !stands.isRequested, shutdown.isRequested { group.cancelAll() }
            try await group.waitForAll()
        }
    }

    private func connectionChanged(_ event: SubscriptionEvent) {
        switch event {
        case .ready, .resumed:
            let wasReady = state.withLock { state in
                defer { state.readiness = .ready }
                return state.readiness.isReady
            }
            if !wasReady {
                notify(.ready)
                workInput.yield(.report)
            }
        case .interrupted(let reason): setReadiness(.waiting(reason))
        case .gap:
            setReadiness(.ready)
            notify(.gap)
            workInput.yield(.gap)
            workInput.yield(.report)
        }
    }

    private func setReadiness(_ readiness: Readiness) { state.withLock { $0.readiness = readiness } }

    func receive(_ envelope: Envelope) async {
        let message: BusMessage
        do {
            message = try BusMessage(envelope)
        } catch {
            refuse(error, envelope.id)
            return
        }
        let reception = state.withLock { state in
            let handlers = state.handlers
            return state.flow.received(message.event) { handlers[.custom($0)] != nil }
        }
        switch reception {
        case .passOver(let reason): count(reason.rawValue, message.event)
        case .watch: count("acknowledgement", message.event)
        case .acknowledge, .apply: count("received", message.event)
        }
        if reception != .passOver(.ownAcknowledgement), reception != .passOver(.duplicate) { notify(.received(message, reception)) }
        switch reception {
        case .apply: await apply(message)
        case .acknowledge: acknowledge(message.event, receipt(.unchanged))
        case .watch: if message.headers[BusHeader.rollCall] != nil { rollCallInput.yield() }
        case .passOver: break
        }
    }

    private func refuse(_ error: BusDecodingError, _ id: String) {
        count("refused", nil)
        log.warning("a message on the bus is no event", ["message": String(id.prefix(100)), "reason": error.description])
        notify(.refused(error))
    }

    private func perform(_ work: Work) async {
        switch work {
        case .apply(let message): await apply(message)
        case .gap:
            let handlers = state.withLock { $0.gapHandlers }
            await gate.run { for handler in handlers { await handler() } }
        case .report: if state.withLock({ $0.runsConfiguration }) { post(report(.running)) }
        }
    }

    private func apply(_ message: BusMessage) async {
        let kind: HandledKind
        switch message.event.kind {
        case .refresh: kind = .refresh
        case .environmentChange: kind = .environmentChange
        case .custom(let type, _): kind = .custom(type)
        case .acknowledgement, .shutdown, .untyped: return
        }
        let handlers = state.withLock { $0.handlers[kind] ?? [] }
        await gate.run {
            var outcome: Receipt.Outcome?
            for handler in handlers {
                do {
                    let handled = try await limited(handler, message)
                    if let running = handled.running { setRunning(running) }
                    // One handler that did something outweighs those that had nothing to do.
                    if outcome == nil || handled.outcome == .applied { outcome = handled.outcome }
                } catch let error as BusDecodingError {
                    refuse(error, message.event.id)
                    return
                } catch {
                    count("failed", message.event)
                    log.error("an event could not be applied", ["event": message.event.id, "error": "\(error)"])
                    acknowledge(message.event, receipt(.failed, error: "\(error)"))
                    return
                }
            }
            acknowledge(message.event, receipt(outcome ?? .none))
        }
    }

    private func limited(_ handler: @escaping Handler, _ message: BusMessage) async throws -> Handled {
        let limit = configuration.handlerLimit
        guard let handled = try await withTimeLimit(limit, { try await handler(message) }) else { throw HandlerOverdue(limit: limit) }
        return handled
    }

    private func acknowledge(_ event: BusEvent, _ receipt: Receipt) {
        if configuration.acknowledges { post(acknowledgement(of: event, receipt)) }
    }

    func post(_ message: BusMessage) {
        if case .dropped = outgoingInput.yield(message) {
            count("not sent", message.event)
            log.warning("an acknowledgement was dropped: too many wait for the broker", ["event": message.event.acknowledgement?.id ?? ""])
        }
    }

    /// What is at hand when shutdown is asked for is sent if the broker takes it at once; an absent one must not hold the process.
    private func sendOutgoing(_ shutdown: ShutdownSignal) async {
        for await message in outgoing {
            guard await withTimeLimit(Self.lastWordLimit, after: shutdown, { await self.send(message) }) != nil else { return }
        }
    }

    private static let lastWordLimit = Duration.seconds(2)

    private func send(_ message: BusMessage) async {
        do {
            try await publish(message.event, headers: message.headers)
        } catch {
            log.warning(
                "an acknowledgement could not be sent", ["event": message.event.acknowledgement?.id ?? "", "error": error.description])
        }
    }
}

/// A handler took longer than it may.
struct HandlerOverdue: Error, CustomStringConvertible {
    let limit: Duration
    var description: String { "the handler did not end within \(limit)" }
}
