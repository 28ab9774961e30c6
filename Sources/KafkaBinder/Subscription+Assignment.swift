import CRDKafka
import Glibc
import Lifecycle
import Locking
import Streams
import Telemetry

/// How a subscription comes to its partitions and gives them up. On the thread.
extension Subscription {
    func start() {
        do {
            guard admin.answers(within: .milliseconds(500)) else { throw KafkaFailure(RD_KAFKA_RESP_ERR__TRANSPORT, brokers) }
            try open()
            backOff.reset()
        } catch let failure as KafkaFailure {
            lost(failure.binderError)
        } catch {
            lost(error as? BinderError ?? BinderError(.broken, "\(error)"))
        }
    }

    private var brokers: String {
        if case .waiting(let reason) = producer.readiness { return reason }
        return "no answer of \(configuration.addresses.map(\.description).joined(separator: ", "))"
    }

    private func lost(_ error: BinderError) {
        client = nil
        let pause = error.code == .refused ? max(.seconds(5), backOff.next()) : backOff.next()
        nextAttempt = Monotonic.now + pause.nanoseconds
        let isFinal = error.code == .invalid
        let (waiter, positioned) = shared.withLock { shared -> (SubscriptionState.Waiter?, [CheckedContinuation<BinderError?, Never>]) in
            switch shared.phase {
            case .starting: shared.phase = isFinal ? .failed(error) : .starting(error.message)
            case .ready, .interrupted: shared.phase = isFinal ? .failed(error) : .interrupted(error.message)
            case .failed, .draining, .closed: break
            }
            guard isFinal else { return (nil, []) }
            defer {
                shared.waiter = nil
                shared.positioned = [:]
            }
            return (shared.waiter, Array(shared.positioned.values))
        }
        waiter?.resume(returning: .failure(error))
        for waiter in positioned { waiter.resume(returning: error) }
        log.warning(
            "a subscription has no position yet",
            ["topic": names.topic, "reason": error.message, "next-attempt": "\(pause.milliseconds) ms"])
    }

    private func open() throws {
        let wanted = configuration.partitions[names.topic] ?? configuration.defaultPartitions
        var topics = [(name: names.topic, partitions: wanted)]
        if group != nil, options.deadLetters { topics.append((names.deadLetters, wanted)) }
        let count = try admin.ensure(topics)[0]
        let fresh = try KafkaConsumerClient(
            configuration.consumer(group: names.groupID), wakeUp: wakeUp,
            route: configuration.route)
        nextLook = Monotonic.now + configuration.metadataInterval.nanoseconds
        if isBroadcast || options.partition != nil { fresh.learn(names.topic) }
        guard group != nil else {
            let numbers = options.partition.map { [Int32($0)] } ?? (0..<Int32(count)).map { $0 }
            let (offsets, gap) = try admin.offsets(at: wasReady ? resumption : options.start, of: names.topic, partitions: numbers)
            client = fresh
            missed = missed || gap
            try take(offsets.map { PartitionOffset(place: $0, offset: $1) }, on: fresh, adding: false)
            return
        }
        let start = wasReady ? StartPosition.earliest : options.start
        let state = try admin.establish(group: names.groupID, of: names.topic, partitions: count, start: start)
        isNewGroup = state == .active && !wasReady
        client = fresh
        if let partition = options.partition {
            guard partition < count else {
                throw BinderError(.invalid, "the topic \(names.topic) has \(count) partitions: there is no partition \(partition)")
            }
            try take(resolved([TopicPartition(topic: names.topic, partition: Int32(partition))], on: fresh), on: fresh, adding: false)
        } else {
            try fresh.subscribe([names.topic, names.retries])
        }
    }

    /// Where a broadcast subscription goes on after its client had to be made anew.
    private var resumption: StartPosition { .after(KafkaPosition(offsets: shared.withLock { $0.seen }).text) }

    // MARK: Assignments

    func assigned(_ places: [TopicPartition]) {
        guard let client else { return }
        let cooperative = client.isCooperative
        client.isCooperativeAtClose = cooperative
        do {
            try take(resolved(places, on: client), on: client, adding: cooperative)
        } catch {
            // The library asks for the offsets itself, as soon as it can; attempts count anew.
            log.warning("offsets of a group could not be read", ["topic": names.topic, "reason": error.text])
            let unknown = places.map { PartitionOffset(place: $0, offset: Int64(RD_KAFKA_OFFSET_INVALID)) }
            try? take(unknown, on: client, adding: cooperative)
        }
    }

    /// Where the group stands in these partitions. Those where it stands nowhere get their place now, on the broker too.
    private func resolved(_ places: [TopicPartition], on client: KafkaConsumerClient) throws(KafkaFailure) -> [PartitionOffset] {
        guard !places.isEmpty else { return [] }
        var known = try client.committed(places, within: .seconds(5))
        let missing = known.filter { $0.offset < 0 }.map(\.place)
        if !missing.isEmpty {
            // Partitions that came later than the group begin at their begin: nothing of them was missed.
            let main = missing.filter { $0.topic == names.topic }
            let start = isNewGroup ? options.start : .earliest
            var found = try admin.offsets(at: start, of: names.topic, partitions: main.map(\.partition)).offsets
            found.merge(try admin.offsets(.earliest, of: missing.filter { $0.topic != names.topic })) { $1 }
            for index in known.indices where known[index].offset < 0 { known[index].offset = found[known[index].place] ?? 0 }
            try client.commit(known.filter { missing.contains($0.place) }, within: .seconds(5))
        }
        isNewGroup = false
        let low = try admin.offsets(.earliest, of: places)
        for index in known.indices {
            guard let first = low[known[index].place], known[index].offset < first else { continue }
            known[index].offset = first
            known[index].notes = ""
            missed = missed || !missing.contains(known[index].place)
        }
        return known
    }

    /// Reads these partitions from now on.
    func take(_ offsets: [PartitionOffset], on client: KafkaConsumerClient, adding: Bool) throws(KafkaFailure) {
        shared.withLock { shared in
            if !adding {
                shared.remove(Array(shared.slots.keys))
                shared.buffer.removeAll()
            }
            shared.epoch += 1
            for one in offsets {
                let start = one.offset >= 0 ? one.offset : nil
                let notes = OffsetNotes(base: start ?? 0, text: one.notes)
                shared.slots[one.place] = .init(
                    tracker: OffsetTracker(start: start, notes: notes), epoch: shared.epoch, told: start, toldNotes: one.notes)
                if isBroadcast { shared.seen[one.place.partition] = one.offset - 1 }
            }
        }
        try client.assign(offsets, adding: adding)
        becameReady()
    }

    private func becameReady() {
        isDown = false
        let (isFirst, isBack, waiters) = shared.withLock { shared -> (Bool, Bool, [CheckedContinuation<BinderError?, Never>]) in
            var (isFirst, isBack) = (false, false)
            switch shared.phase {
            case .starting: isFirst = true
            case .interrupted: isBack = true
            case .ready: break
            case .failed, .draining, .closed: return (false, false, [])
            }
            shared.phase = .ready
            defer { shared.positioned = [:] }
            return (isFirst, isBack, Array(shared.positioned.values))
        }
        wasReady = true
        if isFirst { options.events(.ready) }
        if isBack { options.events(missed ? .gap : .resumed) } else if missed { options.events(.gap) }
        missed = false
        for waiter in waiters { waiter.resume(returning: nil) }
    }

    func revoked(_ places: [TopicPartition]) {
        guard let client else { return }
        let cooperative = client.isCooperative
        guard !client.isAssignmentLost else {
            // Others have them already: nothing of what is in hand can be settled.
            release(places, cooperative: cooperative, client)
            return
        }
        let gone = Set(places)
        shared.withLock { shared in
            shared.handingOver = true
            // Nobody has seen these: the next owner gets them as new.
            var kept = FIFO<(fetched: FetchedRecord, epoch: UInt64)>()
            while let one = shared.buffer.popFirst() { if !gone.contains(one.fetched.place) { kept.append(one) } }
            shared.buffer = kept
        }
        handOver = HandOver(places: places, cooperative: cooperative, deadline: Monotonic.now + configuration.handOverLimit.nanoseconds)
        finishHandOver(late: Monotonic.now)
    }

    /// Gives the partitions up when nothing of them is in hand any more, or the time is over.
    func finishHandOver(late now: UInt64) {
        guard let order = handOver, let client else { return }
        let inHand = shared.withLock { shared in order.places.reduce(0) { $0 + (shared.slots[$1]?.inHand ?? 0) } }
        guard inHand == 0 || now >= order.deadline else { return }
        if inHand > 0 {
            log.warning(
                "deliveries were not settled in time before their partitions went to another member, which gets them again",
                ["topic": names.topic, "deliveries": "\(inHand)"])
        }
        commitNow(client, within: .seconds(3))
        handOver = nil
        release(order.places, cooperative: order.cooperative, client)
    }

    private func release(_ places: [TopicPartition], cooperative: Bool, _ client: KafkaConsumerClient) {
        handOver = nil
        shared.withLock { shared in
            shared.remove(cooperative ? places : Array(shared.slots.keys))
            if !cooperative { shared.buffer.removeAll() }
            shared.handingOver = false
        }
        client.unassign(cooperative ? places : nil)
    }

    // MARK: Mending

    /// The topic was deleted: it is made again, and read from its begin.
    func recreate() {
        let wanted = configuration.partitions[names.topic] ?? configuration.defaultPartitions
        usleep(UInt32(KafkaAdmin.noticeTime.milliseconds * 1000))  // on our own thread, which has nothing else to read
        do {
            _ = try admin.ensure([(names.topic, wanted)])
            // Nothing of the old topic may be said of the new one, and librdkafka 2.0.2 does not always read on in what has gone and come back: a new
            // client begins where the brokers say.
            if isBroadcast { shared.withLock { shared in for partition in shared.seen.keys { shared.seen[partition] = -1 } } }
            dropClient()
        } catch {
            log.warning("a topic that is gone could not be made again", ["topic": names.topic, "reason": error.text])
            nextProbe = Monotonic.now + 1_000_000_000
        }
    }

    /// After an error that the library does not survive.
    func restart(_ failure: KafkaFailure) {
        interrupted(failure.text)
        dropClient()
    }

    /// The next turn makes a new client, which goes on where this one stood.
    private func dropClient() {
        shared.withLock { shared in
            shared.remove(Array(shared.slots.keys))
            shared.buffer.removeAll()
            shared.handingOver = false
        }
        handOver = nil
        commitsUnderWay = 0
        client = nil
        nextAttempt = Monotonic.now
    }
}
