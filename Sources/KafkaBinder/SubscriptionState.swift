import Streams

/// What tasks and the thread of one subscription share: what waits to be handed out, what is in hand, and how far each partition is done.
struct SubscriptionState: Sendable {
    struct Slot: Sendable {
        var tracker: OffsetTracker
        /// Tells this assignment of the partition from earlier ones, whose deliveries can no longer be settled.
        var epoch: UInt64
        var inHand = 0
        /// What the broker was told last.
        var told: Int64?
        var toldNotes = ""
    }
    struct Held: Sendable {
        var fetched: FetchedRecord
        var epoch: UInt64
        /// On the monotonic clock.
        var due: UInt64
    }
    typealias Waiter = CheckedContinuation<Result<ReceivedEnvelope?, BinderError>, Never>

    var phase = SubscriptionPhase.starting("not connected to Kafka yet")
    var buffer = FIFO<(fetched: FetchedRecord, epoch: UInt64)>()
    var waiter: Waiter?
    var positioned: [UInt64: CheckedContinuation<BinderError?, Never>] = [:]
    var nextWaiter: UInt64 = 0
    var slots: [TopicPartition: Slot] = [:]
    /// For broadcast subscriptions: the offset that was handed out last, for each partition.
    var seen: [Int32: Int64] = [:]
    var epoch: UInt64 = 0
    var inHand = 0
    var held: [Held] = []
    /// Partitions are about to go to another member: nothing is handed out until they have.
    var handingOver = false
    /// The thread sleeps with records waiting for room.
    var roomWanted = false
    /// Something changed that the broker is to be told.
    var dirty = false
    var drainAsked = false
    var lookAsked = false

    /// How many more records may be fetched.
    func room(_ prefetch: Int) -> Int { handingOver ? 0 : max(0, prefetch - buffer.count - inHand) }

    /// The next delivery, where there is one whose partition is still ours.
    mutating func take() -> (FetchedRecord, epoch: UInt64, attempt: Int)? {
        guard !handingOver else { return nil }
        while let (fetched, epoch) = buffer.popFirst() {
            guard slots[fetched.place]?.epoch == epoch, let attempt = slots[fetched.place]?.tracker.handOut(fetched.record.offset) else {
                continue
            }
            slots[fetched.place]?.inHand += 1
            inHand += 1
            dirty = true
            return (fetched, epoch, attempt)
        }
        return nil
    }

    /// Takes a delivery out of the hands. False: it is not there, or its partition is no longer ours.
    mutating func done(_ place: TopicPartition, _ offset: Int64, _ epoch: UInt64) -> Bool {
        guard slots[place]?.epoch == epoch, slots[place]?.tracker.done(offset) == true else { return false }
        slots[place]?.inHand -= 1
        inHand -= 1
        dirty = true
        return true
    }

    mutating func retry(
        _ fetched: FetchedRecord, _ epoch: UInt64, due: UInt64, dueTime: Int64, counting: Bool
    ) -> Bool {
        guard slots[fetched.place]?.epoch == epoch,
            slots[fetched.place]?.tracker.retry(fetched.record.offset, due: dueTime, counting: counting) == true
        else { return false }
        slots[fetched.place]?.inHand -= 1
        inHand -= 1
        dirty = true
        held.append(Held(fetched: fetched, epoch: epoch, due: due))
        return true
    }

    /// A partition was emptied behind us, with its topic say: nothing that is in hand of it is there any more.
    mutating func restart(_ place: TopicPartition, at offset: Int64) {
        remove([place])
        epoch += 1
        slots[place] = Slot(tracker: OffsetTracker(start: offset), epoch: epoch)
        dirty = true
    }

    /// Gives partitions up: what is in hand of them can no longer be settled.
    mutating func remove(_ places: [TopicPartition]) {
        for place in places { if let slot = slots.removeValue(forKey: place) { inHand -= slot.inHand } }
        let gone = Set(places)
        held.removeAll { gone.contains($0.fetched.place) }
    }

    /// What is to be committed: all that changed since the broker was told.
    mutating func commits() -> [PartitionOffset] {
        dirty = false
        var all: [PartitionOffset] = []
        for (place, slot) in slots {
            guard let offset = slot.tracker.committable else { continue }
            let notes = slot.tracker.committableNotes.text
            guard slot.told != offset || slot.toldNotes != notes else { continue }
            slots[place]?.told = offset
            slots[place]?.toldNotes = notes
            all.append(PartitionOffset(place: place, offset: offset, notes: notes))
        }
        return all
    }

    /// The broker was not told after all.
    mutating func untold() {
        for place in slots.keys { slots[place]?.told = nil }
        dirty = true
    }
}
