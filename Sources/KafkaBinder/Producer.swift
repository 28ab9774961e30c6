import CRDKafka
import Locking
import Streams
import Synchronization
import Telemetry

/// The publishing client. Records go from the callers' tasks straight into the library's buffer, which takes them without waiting; its reports
/// come on the thread.
final class Producer: KafkaRole, @unchecked Sendable {  // what is not in the lock is touched on the thread only
    private struct Shared {
        var handle: KafkaHandle?
        var topics: [String: KafkaTopic] = [:]
        /// The library's buffer was full when these came.
        var waiting = FIFO<OutgoingRecord>()
        var held = 0
        var isConnected = false
        /// Why it is not connected.
        var reason = "not connected to Kafka yet"
        var refused: BinderError?
        var closed = false
        var connecting: [PendingRecord] = []
    }
    let purpose = "publish"
    let wakeUp = WakeUp()
    private let configuration: KafkaConfiguration
    private let log: Log
    private let metrics: Metrics
    private let shared = Locked(Shared())

    // The thread's own.
    private var main: OpaquePointer?
    private var nextProbe: UInt64 = 0
    private var nextExpiry: UInt64 = 0
    private var probePause: Duration = .milliseconds(20)

    init(_ configuration: KafkaConfiguration, log: Log, metrics: Metrics) {
        self.configuration = configuration
        self.log = log
        self.metrics = metrics
    }

    /// Throws `.invalid` for settings that the library does not take.
    func open() throws(BinderError) {
        let handle = try KafkaHandle(
            RD_KAFKA_PRODUCER, configuration.producer, events: RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR, route: configuration.route)
        main = rd_kafka_queue_get_main(handle.raw)
        var one: UInt64 = 1
        rd_kafka_queue_io_event_enable(main, wakeUp.descriptor, &one, 8)
        shared.withLock { shared in
            shared.handle = handle
            shared.topics = [:]
        }
    }

    var readiness: Readiness {
        shared.withLock { shared in
            if shared.closed { return .waiting("closed") }
            return shared.isConnected ? .ready : .waiting(shared.refused?.message ?? shared.reason)
        }
    }

    /// Publishes that were not answered yet.
    var held: Int { shared.withLock { $0.held } }

    /// Waits until a broker answers. Throws the reason when none does in time.
    func connected() async throws(BinderError) {
        let pending = PendingRecord(limit: configuration.publishLimit)
        let refusal: BinderError?? = shared.withLock { shared in
            if shared.closed { return .some(Self.closed) }
            if shared.isConnected { return .some(nil) }
            if let refused = shared.refused { return refused }
            shared.connecting.append(pending)
            return .none
        }
        if let refusal {
            if let refusal { throw refusal }
            return
        }
        wakeUp.call()
        _ = try await pending.wait()
    }

    /// Returns after the brokers' report that the record is written.
    func send(_ record: OutgoingRecord) async throws(BinderError) -> Written {
        let (refusal, client) = shared.withLock { shared -> (BinderError?, (KafkaHandle, KafkaTopic)?) in
            if shared.closed { return (Self.closed, nil) }
            if let refused = shared.refused { return (refused, nil) }
            if shared.waiting.isEmpty, let handle = shared.handle, let topic = Self.topic(record.topic, &shared, handle) {
                shared.held += 1
                return (nil, (handle, topic))
            }
            if shared.waiting.count >= configuration.waiting {
                return (BinderError(.blocked, "\(shared.waiting.count) publishes wait for Kafka already"), nil)
            }
            shared.held += 1
            shared.waiting.append(record)
            return (nil, nil)
        }
        if let refusal { throw refusal }
        defer { shared.withLock { $0.held -= 1 } }
        if let (handle, topic) = client {
            let code = Self.produce(record, topic, handle)
            if code == RD_KAFKA_RESP_ERR__QUEUE_FULL {
                let isFull = shared.withLock { shared in
                    guard !shared.closed, shared.waiting.count < configuration.waiting else { return true }
                    shared.waiting.append(record)
                    return false
                }
                if isFull { throw BinderError(.blocked, "Kafka takes no more: \(configuration.waiting) publishes wait already") }
                wakeUp.call()
            } else if code != RD_KAFKA_RESP_ERR_NO_ERROR {
                throw Self.error(code, record)
            }
        }
        return try await record.pending.wait()
    }

    /// Asks the brokers for the partitions of a topic. Blocks. A topic that was deleted and made again stays unknown to the library otherwise.
    func learn(_ name: String) {
        let found = shared.withLock { shared in shared.handle.flatMap { handle in Self.topic(name, &shared, handle).map { (handle, $0) } } }
        guard let (handle, topic) = found else { return }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        guard
            rd_kafka_metadata(handle.raw, 0, topic.raw, &metadata, Int32(configuration.requestLimit.milliseconds))
                == RD_KAFKA_RESP_ERR_NO_ERROR
        else { return }
        rd_kafka_metadata_destroy(metadata)
    }

    private static let closed = BinderError(.closed, "the Kafka binder is closed")

    private static func error(_ code: rd_kafka_resp_err_t, _ record: OutgoingRecord) -> BinderError {
        if code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, let partition = record.partition {
            record.pending.topicIsGone.store(true, ordering: .relaxed)  // or it was added since we last looked
            return BinderError(.invalid, "the topic \(record.topic) has no partition \(partition)")
        }
        let failure = KafkaFailure(code, doing: "publishing to \(record.topic)")
        if failure.isUnknownTopic { record.pending.topicIsGone.store(true, ordering: .relaxed) }
        return failure.binderError
    }

    private static func topic(_ name: String, _ shared: inout Shared, _ handle: KafkaHandle) -> KafkaTopic? {
        if let known = shared.topics[name] { return known }
        // Bounded: a topic that is asked for again is looked up again.
        if shared.topics.count >= 1000 { shared.topics = [:] }
        let topic = KafkaTopic(name, on: handle)
        shared.topics[name] = topic
        return topic
    }

    private static let nothing: StaticString = ""

    private static func produce(_ record: OutgoingRecord, _ topic: KafkaTopic, _ handle: KafkaHandle) -> rd_kafka_resp_err_t {
        var headers: OpaquePointer?
        if !record.headers.isEmpty {
            headers = rd_kafka_headers_new(record.headers.count)
            record.headers.forEach { name, value in
                _ = rd_kafka_header_add(
                    headers, name.baseAddress?.assumingMemoryBound(to: CChar.self), name.count,
                    value.map { $0.baseAddress ?? UnsafeRawPointer(nothing.utf8Start) }, value?.count ?? 0)
            }
        }
        let pending = Unmanaged.passRetained(record.pending)
        func bytes<R>(_ bytes: [UInt8]?, _ body: (UnsafeRawPointer?, Int) -> R) -> R {
            // A null pointer would make a tombstone of an empty value.
            guard let bytes else { return body(nil, 0) }
            return bytes.withUnsafeBytes { body($0.baseAddress ?? UnsafeRawPointer(nothing.utf8Start), $0.count) }
        }
        let code = bytes(record.value) { value, length in
            bytes(record.key) { key, keyLength in
                carillon_kafka_produce(
                    handle.raw, topic.raw, record.partition ?? RD_KAFKA_PARTITION_UA, value, length, key, keyLength, record.timestamp,
                    headers,
                    pending.toOpaque())
            }
        }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR {
            pending.release()
            if let headers { rd_kafka_headers_destroy(headers) }
        }
        return code
    }

    // MARK: On the thread

    func turn() -> Duration? {
        while let event = rd_kafka_queue_poll(main, 0) {
            handle(event)
            rd_kafka_event_destroy(event)
        }
        sendWaiting()
        let now = Monotonic.now
        if now >= nextExpiry {
            nextExpiry = now + 50_000_000
            expire(now)
        }
        let (isConnected, isBusy) = shared.withLock { ($0.isConnected, !$0.waiting.isEmpty || !$0.connecting.isEmpty) }
        if !isConnected, now >= nextProbe { probe() }
        return isConnected ? (isBusy ? .milliseconds(50) : .seconds(1)) : .milliseconds(20)
    }

    private func handle(_ event: OpaquePointer) {
        switch rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_DR:
            while let message = rd_kafka_event_message_next(event) { report(message.pointee, message) }
        case RD_KAFKA_EVENT_ERROR: failed(KafkaFailure(event: event))
        default: break
        }
    }

    private func report(_ message: rd_kafka_message_t, _ pointer: UnsafePointer<rd_kafka_message_t>) {
        guard let opaque = message._private else { return }
        let pending = Unmanaged<PendingRecord>.fromOpaque(opaque).takeRetainedValue()
        guard message.err != RD_KAFKA_RESP_ERR_NO_ERROR else {
            pending.answer(
                .success(Written(partition: message.partition, offset: message.offset, timestamp: rd_kafka_message_timestamp(pointer, nil)))
            )
            return
        }
        let maybe = rd_kafka_message_status(pointer) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED
        let failure = KafkaFailure(message.err, doing: "publishing")
        let (refused, reason) = shared.withLock { ($0.refused, $0.isConnected ? nil : $0.reason) }
        switch message.err {
        case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT,
            RD_KAFKA_RESP_ERR__TRANSPORT,
            RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__DESTROY, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
            if maybe {
                pending.answer(
                    .failure(BinderError(.timedOut, "no report of Kafka within \(configuration.publishLimit); the event may have arrived")))
            } else {
                pending.answer(.failure(refused ?? BinderError(.unreachable, "no connection to Kafka: \(reason ?? failure.text)")))
            }
        default:
            if failure.isUnknownTopic, !maybe { pending.topicIsGone.store(true, ordering: .relaxed) }
            pending.answer(.failure(failure.binderError))
        }
    }

    private func failed(_ failure: KafkaFailure) {
        switch failure.code {
        case RD_KAFKA_RESP_ERR__FATAL: reopen()
        case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
            metrics.count("carillon_kafka_lost_total", ["client": purpose], help: "Times that no broker of Kafka was connected any more.")
            shared.withLock { shared in
                if shared.isConnected { shared.reason = failure.text }
                shared.isConnected = false
            }
            nextProbe = Monotonic.now + probePause.nanoseconds
            log.warning("no broker of Kafka is connected", ["client": purpose, "reason": failure.text])
        default:
            if failure.isRefused, failure.code == RD_KAFKA_RESP_ERR__AUTHENTICATION || failure.code == RD_KAFKA_RESP_ERR__SSL {
                refuse(failure.binderError)
            } else {
                shared.withLock { if !$0.isConnected { $0.reason = failure.text } }
            }
        }
    }

    /// Whoever waits is told at once; the library goes on trying, with its pauses.
    private func refuse(_ error: BinderError) {
        let (connecting, handle) = shared.withLock { shared in
            shared.refused = error
            shared.isConnected = false
            defer { shared.connecting = [] }
            return (shared.connecting, shared.handle)
        }
        for one in connecting { one.answer(.failure(error)) }
        if let handle { rd_kafka_purge(handle.raw, RD_KAFKA_PURGE_F_QUEUE) }
        log.warning("Kafka refuses us", ["client": purpose, "reason": error.message])
    }

    private func probe() {
        guard let handle = shared.withLock({ $0.handle }) else { return }
        guard handle.answers(within: .seconds(1)) else {
            probePause = min(probePause * 2, .milliseconds(500))
            nextProbe = Monotonic.now + probePause.nanoseconds
            return
        }
        probePause = .milliseconds(20)
        let connecting = shared.withLock { shared in
            shared.isConnected = true
            shared.refused = nil
            defer { shared.connecting = [] }
            return shared.connecting
        }
        for one in connecting { one.answer(.success(Written(partition: 0, offset: 0, timestamp: 0))) }
        log.debug("connected to Kafka", ["client": purpose])
    }

    private func sendWaiting() {
        while true {
            let next = shared.withLock { shared -> (OutgoingRecord, KafkaTopic, KafkaHandle)? in
                guard let record = shared.waiting.first, let handle = shared.handle, let topic = Self.topic(record.topic, &shared, handle)
                else { return nil }
                return (record, topic, handle)
            }
            guard let (record, topic, handle) = next else { return }
            if !record.pending.isAnswered {
                let code = Self.produce(record, topic, handle)
                if code == RD_KAFKA_RESP_ERR__QUEUE_FULL { return }
                if code != RD_KAFKA_RESP_ERR_NO_ERROR { record.pending.answer(.failure(Self.error(code, record))) }
            }
            shared.withLock { _ = $0.waiting.popFirst() }
        }
    }

    private func expire(_ now: UInt64) {
        let (late, unconnected, reason) = shared.withLock { shared in
            var late: [PendingRecord] = []
            while let first = shared.waiting.first, first.pending.deadline <= now || first.pending.isAnswered {
                _ = shared.waiting.popFirst()
                late.append(first.pending)
            }
            let unconnected = shared.connecting.filter { $0.deadline <= now }
            shared.connecting.removeAll { $0.deadline <= now || $0.isAnswered }
            return (late, unconnected, shared.reason)
        }
        for one in late {
            one.answer(.failure(BinderError(.blocked, "Kafka did not take the event within \(configuration.publishLimit): too many wait")))
        }
        for one in unconnected { one.answer(.failure(BinderError(.unreachable, "no connection to Kafka: \(reason)"))) }
    }

    /// After an error that the library does not survive: what was under way is answered, and a new client takes over.
    private func reopen() {
        log.error("the client of Kafka ended with an error that it cannot mend; a new one takes over", ["client": purpose])
        drainOld()
        do throws(BinderError) { try open() } catch { log.error("no new client of Kafka", ["reason": error.message]) }
    }

    private func drainOld() {
        guard
            let old = shared.withLock({ shared in
                shared.topics = [:]
                shared.isConnected = false
                defer { shared.handle = nil }
                return shared.handle
            })
        else { return }
        rd_kafka_purge(old.raw, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        // The reports of what was purged come at once.
        while let event = rd_kafka_queue_poll(main, rd_kafka_outq_len(old.raw) > 0 ? 100 : 0) {
            if rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR {
                while let message = rd_kafka_event_message_next(event) { report(message.pointee, message) }
            }
            rd_kafka_event_destroy(event)
        }
        rd_kafka_queue_destroy(main)
        main = nil
    }

    func finish() {
        let (waiting, connecting) = shared.withLock { shared in
            shared.closed = true
            defer {
                shared.waiting = FIFO()
                shared.connecting = []
            }
            return (shared.waiting, shared.connecting)
        }
        var rest = waiting
        while let one = rest.popFirst() { one.pending.answer(.failure(Self.closed)) }
        for one in connecting { one.answer(.failure(Self.closed)) }
        drainOld()
    }
}
