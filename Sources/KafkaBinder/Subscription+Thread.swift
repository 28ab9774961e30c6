import CRDKafka
import Locking
import Streams
import Synchronization
import Telemetry

extension Subscription: KafkaRole {
    /// How far reading may run ahead of a delivery that waits for its retry: what is done beyond it is remembered one by one.
    private static let longestSpan: Int64 = 100_000

    func turn() -> Duration? {
        if shared.withLock({ $0.drainAsked }), !draining { startDraining() }
        let now = Monotonic.now
        guard let client else {
            if draining { return .seconds(1) }
            if now >= nextAttempt { start() }
            return client == nil ? .nanoseconds(Int64(clamping: max(1_000_000, Int64(nextAttempt) - Int64(Monotonic.now)))) : nil
        }
        var budget = 100
        while budget > 0, client.nextEvent(within: .zero, { handle($0) }) { budget -= 1 }
        guard self.client != nil else { return nil }
        let more = fetch(client)
        finishHandOver(late: Monotonic.now)
        commitWhenDue(client)
        if isDown, Monotonic.now >= nextProbe { probe(client) }
        let asked = shared.withLock { shared in
            defer { shared.lookAsked = false }
            return shared.lookAsked
        }
        if asked || Monotonic.now >= nextLook { look(client, asked: asked) }
        return more || budget == 0 ? nil : pause
    }

    /// Until the next thing that the clock decides.
    private var pause: Duration {
        let now = Monotonic.now
        var next = now + 1_000_000_000
        let (held, dirty) = shared.withLock { ($0.room(prefetch) > 0 ? $0.held.lazy.map(\.due).min() : nil, $0.dirty) }
        if let held { next = min(next, held) }
        if dirty, !isBroadcast { next = min(next, nextCommit) }
        if isDown { next = min(next, nextProbe) }
        if let handOver { next = min(next, handOver.deadline) }
        return .nanoseconds(next > now ? Int64(next - now) : 0)
    }

    // MARK: Records

    /// Takes what is there while there is room. True when there may be more.
    private func fetch(_ client: KafkaConsumerClient) -> Bool {
        let room = shared.withLock { shared in
            releaseDue(&shared)
            let isFull = shared.held.count >= configuration.heldLimit || shared.slots.values.contains { $0.tracker.span > Self.longestSpan }
            let room = isFull || draining ? 0 : min(512, shared.room(prefetch))
            shared.roomWanted = room == 0
            return room
        }
        var arrived: [FetchedRecord] = []
        var count = 0
        while count < room,
            client.nextRecord(
                within: .zero,
                { event in
                    if rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH {
                        while let message = rd_kafka_event_message_next(event) { if let one = read(message) { arrived.append(one) } }
                    } else {
                        handle(event)
                    }
                })
        { count += 1 }
        if !arrived.isEmpty, isDown { cameBack() }
        let (waiter, first) = shared.withLock { shared -> (SubscriptionState.Waiter?, ReceivedEnvelope?) in
            let now = Timestamp.now.milliseconds
            for one in arrived { add(one, to: &shared, now: now) }
            guard let waiter = shared.waiter, let first = taken(&shared) else { return (nil, nil) }
            shared.waiter = nil
            return (waiter, first)
        }
        if missed, !arrived.isEmpty, !isDown {
            missed = false
            options.events(.gap)
        }
        waiter?.resume(returning: .success(first))
        return count == room && room > 0
    }

    private func read(_ message: UnsafePointer<rd_kafka_message_t>) -> FetchedRecord? {
        guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR, let topic = message.pointee.rkt else {
            failed(KafkaFailure(message.pointee.err, doing: "reading \(names.topic)"), at: nil)
            return nil
        }
        let name = rd_kafka_topic_name(topic).map { String(cString: $0) } ?? names.topic
        let record = KafkaRecord(message, topic: name)
        let envelope = record.envelope(&reader, embeddedHeaders: configuration.readsEmbeddedHeaders)
        return FetchedRecord(record: record, envelope: envelope, place: TopicPartition(topic: name, partition: record.partition))
    }

    private func add(_ one: FetchedRecord, to shared: inout SubscriptionState, now: Int64) {
        if shared.slots[one.place]?.tracker.isBehind(one.record.offset) == true {
            shared.restart(one.place, at: one.record.offset)
            missed = true
        }
        guard let epoch = shared.slots[one.place]?.epoch else { return }
        switch shared.slots[one.place]?.tracker.arrived(one.record.offset, now: now) {
        case .deliver?:
            // Somebody else's letter in the topic of replayed ones.
            if let owner = one.envelope.headers[KafkaHeaders.owner]?.text, one.place.topic == names.retries, owner != names.owner {
                _ = shared.slots[one.place]?.tracker.handOut(one.record.offset)
                _ = shared.slots[one.place]?.tracker.done(one.record.offset)
                shared.dirty = true
                return
            }
            var one = one
            one.envelope.headers[KafkaHeaders.owner] = nil
            shared.buffer.append((one, epoch))
        case .hold(let until)?:
            let wait = UInt64(max(0, until - now)) * 1_000_000
            shared.held.append(.init(fetched: one, epoch: epoch, due: Monotonic.now + wait))
        case .skip?: shared.dirty = true
        case nil: break
        }
    }

    private func releaseDue(_ shared: inout SubscriptionState) {
        guard !shared.held.isEmpty else { return }
        let now = Monotonic.now
        var room = shared.room(prefetch)
        // Few enough to look through: those whose time came first are first.
        for one in shared.held.filter({ $0.due <= now }).sorted(by: { $0.due < $1.due }) where room > 0 {
            room -= 1
            shared.buffer.append((one.fetched, one.epoch))
            shared.held.removeAll { $0.fetched.place == one.fetched.place && $0.fetched.record.offset == one.fetched.record.offset }
        }
    }

    // MARK: Telling the broker

    private func commitWhenDue(_ client: KafkaConsumerClient) {
        guard !isBroadcast, handOver == nil, commitsUnderWay == 0, Monotonic.now >= nextCommit else { return }
        let commits = shared.withLock { $0.dirty ? $0.commits() : [] }
        guard !commits.isEmpty else { return }
        nextCommit = Monotonic.now + configuration.commitInterval.nanoseconds
        commitsUnderWay += 1
        client.commit(commits)
    }

    /// All that is done, at once, for partitions that are about to go.
    func commitNow(_ client: KafkaConsumerClient, within limit: Duration) {
        guard !isBroadcast else { return }
        // What is under way may not arrive any more.
        let again = commitsUnderWay > 0
        let commits = shared.withLock { shared in
            if again { shared.untold() }
            return shared.commits()
        }
        do { try client.commit(commits, within: limit) } catch {
            log.warning("Kafka could not be told what is done; it will be handed out again", ["topic": names.topic, "reason": error.text])
        }
    }

    // MARK: Events

    func handle(_ event: OpaquePointer) {
        switch rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_REBALANCE:
            let places = PartitionOffset.read(rd_kafka_event_topic_partition_list(event)).map(\.place)
            switch rd_kafka_event_error(event) {
            case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS: assigned(places)
            case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS: revoked(places)
            default: client?.unassign(nil)
            }
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
            commitsUnderWay = max(0, commitsUnderWay - 1)
            let code = rd_kafka_event_error(event)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR, code != RD_KAFKA_RESP_ERR__NO_OFFSET else { return }
            shared.withLock { $0.untold() }
            nextCommit = Monotonic.now + max(configuration.commitInterval, .milliseconds(250)).nanoseconds
            log.debug("a commit failed and is tried again", ["topic": names.topic, "reason": KafkaFailure.words(code)])
        case RD_KAFKA_EVENT_ERROR:
            let topic = rd_kafka_event_topic_partition(event)
            defer { if let topic { rd_kafka_topic_partition_destroy(topic) } }
            failed(KafkaFailure(event: event), at: topic.map { String(cString: $0.pointee.topic) })
        default: break
        }
    }

    private func failed(_ failure: KafkaFailure, at topic: String?) {
        if failure.code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || failure.isRefused {
            interrupted(failure.binderError.message)
        } else if failure.isUnknownTopic {
            // The topic of replayed letters is only made when one is replayed.
            guard topic == nil || topic == names.topic, !failure.text.contains(names.retries) || isBroadcast else { return }
            missed = true
            client?.handle.mayHang.store(true, ordering: .relaxed)
            interrupted("the topic \(names.topic) is gone")
            recreate()
        } else if failure.code == RD_KAFKA_RESP_ERR__FATAL {
            restart(failure)
        } else {
            log.debug("Kafka reports", ["topic": names.topic, "reason": failure.text])
        }
    }

    func interrupted(_ reason: String) {
        guard !isDown else { return }
        isDown = true
        nextProbe = Monotonic.now + 100_000_000
        metrics.count("carillon_kafka_lost_total", ["client": "subscribe"], help: "Times that no broker of Kafka was connected any more.")
        let wasReady = shared.withLock { shared in
            guard case .ready = shared.phase else { return false }
            shared.phase = .interrupted(reason)
            return true
        }
        if wasReady { options.events(.interrupted(reason)) }
        log.warning("a subscription is interrupted", ["topic": names.topic, "reason": reason])
    }

    private func probe(_ client: KafkaConsumerClient) {
        nextProbe = Monotonic.now + 250_000_000
        if client.handle.answers(within: .seconds(1)) { cameBack() }
    }

    func cameBack() {
        isDown = false
        let isBack = shared.withLock { shared in
            guard case .interrupted = shared.phase else { return false }
            shared.phase = .ready
            return true
        }
        if isBack { options.events(missed ? .gap : .resumed) }
        missed = false
    }

    /// New partitions of a topic that is read without a group are nobody else's to find.
    private func look(_ client: KafkaConsumerClient, asked: Bool) {
        nextLook = Monotonic.now + configuration.metadataInterval.nanoseconds
        guard !isDown else { return }
        guard isBroadcast else {
            // The library looks for the topics that it was told of when it is asked for any.
            if asked, options.partition == nil { _ = client.handle.answers(within: .seconds(1)) }
            return
        }
        guard options.partition == nil, let count = try? admin.partitions(of: names.topic) else { return }
        let known = shared.withLock { Set($0.slots.keys.map(\.partition)) }
        let fresh = (0..<Int32(count)).filter { !known.contains($0) }.map { TopicPartition(topic: names.topic, partition: $0) }
        if !fresh.isEmpty { try? take(fresh.map { PartitionOffset(place: $0, offset: 0) }, on: client, adding: true) }
    }

    // MARK: The end

    private func startDraining() {
        draining = true
        let (waiter, positioned) = shared.withLock { shared in
            let result = (shared.waiter, Array(shared.positioned.values))
            shared.waiter = nil
            shared.positioned = [:]
            shared.buffer = FIFO()
            shared.phase = .draining
            return result
        }
        waiter?.resume(returning: .success(nil))
        for waiter in positioned { waiter.resume(returning: BinderError(.closed, "the Kafka binder is closed")) }
    }

    func finish() {
        if let client {
            commitNow(client, within: isDown ? .milliseconds(200) : .seconds(3))
            if !isBroadcast, options.partition == nil { client.close(within: isDown ? .milliseconds(500) : .seconds(5)) }
        }
        client = nil
        let (waiter, positioned) = shared.withLock { shared in
            let result = (shared.waiter, Array(shared.positioned.values))
            shared.waiter = nil
            shared.positioned = [:]
            shared.buffer = FIFO()
            shared.remove(Array(shared.slots.keys))
            shared.phase = .closed
            return result
        }
        waiter?.resume(returning: .success(nil))
        for waiter in positioned { waiter.resume(returning: BinderError(.closed, "the Kafka binder is closed")) }
    }
}
