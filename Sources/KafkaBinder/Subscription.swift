import Lifecycle
import Locking
import Streams
import Telemetry

/// One subscription on a client of its own, so that a slow reader holds nobody else up.
///
/// The thread fetches while there is room, holds what is to be retried later, tells the broker how far all is done, and hands partitions over.
final class Subscription: DeliverySource, @unchecked Sendable {  // what is not in the lock is touched on the thread only
    let purpose: String
    let names: KafkaNames
    let group: ConsumerGroup?
    let options: SubscriptionOptions
    let configuration: KafkaConfiguration
    let admin: KafkaAdmin
    let producer: Producer
    let log: Log
    let metrics: Metrics
    let wakeUp = WakeUp()
    let shared = Locked(SubscriptionState())
    /// 0: only takes its position and hands out nothing.
    let prefetch: Int
    var isBroadcast: Bool { group == nil }

    // The thread's own.
    var client: KafkaConsumerClient?
    var reader = KafkaHeaderReader()
    var backOff: BackOff
    var nextAttempt: UInt64 = 0
    var wasReady = false
    /// Something may have been missed since the last `ready` or `resumed`.
    var missed = false
    var draining = false
    var isDown = false
    var nextProbe: UInt64 = 0
    var nextCommit: UInt64 = 0
    var commitsUnderWay = 0
    var nextLook: UInt64 = 0
    var handOver: HandOver?
    /// Whether the group had no position in the topic when we came.
    var isNewGroup = false

    struct HandOver {
        var places: [TopicPartition]
        var cooperative: Bool
        var deadline: UInt64
    }

    init(
        _ names: KafkaNames, group: ConsumerGroup?, options: SubscriptionOptions, isSilent: Bool = false, configuration: KafkaConfiguration,
        admin: KafkaAdmin, producer: Producer, log: Log, metrics: Metrics
    ) {
        self.names = names
        self.group = group
        self.options = options
        self.configuration = configuration
        self.admin = admin
        self.producer = producer
        self.log = log
        self.metrics = metrics
        purpose = names.topic
        prefetch = isSilent ? 0 : max(1, options.prefetch)
        backOff = BackOff(first: configuration.backOff, longest: configuration.longestBackOff)
    }

    // MARK: For the binder and its callers

    var readiness: Readiness { shared.withLock { $0.phase }.readiness(of: names.topic) }

    /// Waits until the position stands. Throws what makes that impossible, or `.cancelled`.
    func positioned() async throws(BinderError) {
        let id = shared.withLock { shared in
            shared.nextWaiter += 1
            return shared.nextWaiter
        }
        let error: BinderError? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = shared.withLock { shared -> BinderError?? in
                    switch shared.phase {
                    case .ready, .interrupted: return .some(nil)
                    case .failed(let error): return error
                    case .draining, .closed: return BinderError(.closed, "the Kafka binder is closed")
                    case .starting:
                        if Task.isCancelled { return BinderError(.cancelled, "the subscription was cancelled") }
                        shared.positioned[id] = continuation
                        return .none
                    }
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            let waiter = shared.withLock { $0.positioned.removeValue(forKey: id) }
            waiter?.resume(returning: BinderError(.cancelled, "the subscription was cancelled"))
        }
        if let error { throw error }
    }

    func next() async throws(BinderError) -> ReceivedEnvelope? {
        let result: Result<ReceivedEnvelope?, BinderError> = await withTaskCancellationHandler {
            if let early = shared.withLock({ immediate(&$0) }) { return early }
            return await withCheckedContinuation { (waiter: SubscriptionState.Waiter) in
                let early = shared.withLock { shared -> Result<ReceivedEnvelope?, BinderError>? in
                    if let early = immediate(&shared) { return early }
                    if Task.isCancelled { return .failure(BinderError(.cancelled, "waiting for a delivery was cancelled")) }
                    shared.waiter = waiter
                    return nil
                }
                if let early { waiter.resume(returning: early) }
            }
        } onCancel: {
            let waiter = shared.withLock { shared in
                let waiter = shared.waiter
                shared.waiter = nil
                return waiter
            }
            waiter?.resume(returning: .failure(BinderError(.cancelled, "waiting for a delivery was cancelled")))
        }
        return try result.get()
    }

    private func immediate(_ shared: inout SubscriptionState) -> Result<ReceivedEnvelope?, BinderError>? {
        switch shared.phase {
        case .failed(let error): .failure(error)
        case .draining, .closed: .success(nil)
        case .starting, .ready, .interrupted: taken(&shared).map { .success($0) }
        }
    }

    /// The next delivery as whoever asked gets it.
    func taken(_ shared: inout SubscriptionState) -> ReceivedEnvelope? {
        guard let (fetched, epoch, attempt) = shared.take() else { return nil }
        let position: KafkaPosition
        if isBroadcast {
            shared.seen[fetched.place.partition] = fetched.record.offset
            position = KafkaPosition(offsets: shared.seen)
        } else {
            position = KafkaPosition(
                offsets: [fetched.record.partition: fetched.record.offset],
                time: fetched.record.timestamp < 0 ? nil : fetched.record.timestamp)
        }
        return ReceivedEnvelope(
            envelope: fetched.envelope, attempt: attempt, position: position.text,
            settlement: Settlement(subscription: self, fetched: fetched, epoch: epoch, attempt: attempt))
    }

    // MARK: For settlements

    /// Throws when the delivery is no longer ours: it was settled before, or its partition is another member's now.
    func accept(_ place: TopicPartition, _ offset: Int64, _ epoch: UInt64) throws(BinderError) {
        let (ok, wake) = shared.withLock { shared -> (Bool, Bool) in
            guard shared.done(place, offset, epoch) else { return (false, false) }
            return (true, wantsThread(shared))
        }
        guard ok else {
            throw BinderError(.unreachable, "this delivery is no longer in hand: Kafka hands it out again where it was not settled")
        }
        if wake { wakeUp.call() }
    }

    func retry(_ fetched: FetchedRecord, _ epoch: UInt64, after delay: Duration, counting: Bool = true) throws(BinderError) {
        let due = Monotonic.now + delay.nanoseconds
        let time = delay <= .zero ? 0 : Timestamp.now.milliseconds + Int64(delay.milliseconds)
        let ok = shared.withLock { $0.retry(fetched, epoch, due: due, dueTime: time, counting: counting) }
        guard ok else {
            throw BinderError(.unreachable, "this delivery is no longer in hand: Kafka hands it out again where it was not settled")
        }
        wakeUp.call()  // the thread must know when it is due
    }

    /// Whether the thread sleeps until deliveries are settled. Not for each of them: a few at once cost no more than one.
    private func wantsThread(_ shared: SubscriptionState) -> Bool {
        if shared.handingOver { return true }
        return shared.roomWanted && (shared.buffer.isEmpty || shared.room(prefetch) * 2 >= prefetch)
    }

    /// A topic of ours may have come.
    func lookSoon() {
        shared.withLock { $0.lookAsked = true }
        wakeUp.call()
    }

    /// No more deliveries; those in hand can still be settled.
    func drain() {
        shared.withLock { $0.drainAsked = true }
        wakeUp.call()
    }
}
