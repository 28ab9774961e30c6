import CRabbitMQ
import Glibc
import Streams
import ThreadExecutor

/// One connection with exactly one channel: the library loses frames of a second one. Every call on the one thread that made it, but `SocketGuard`.
final class AMQPConnection {
    let raw: amqp_connection_state_t
    let socket: SocketGuard
    let channel: amqp_channel_t = 1
    private var content = ContentAssembler()
    let arena = AMQPArena()
    let outgoing = OutgoingFrames()
    /// Whether frames are collected and sent by ourselves: only the library can send through TLS.
    let collects: Bool
    /// Bytes that a frame may have; a message's properties must fit in one.
    let frameMax: Int
    let descriptor: Int32
    let address: RabbitMQConfiguration.Address

    /// Connects, logs in and opens the channel, each within `connectLimit`.
    init(
        _ configuration: RabbitMQConfiguration, address: RabbitMQConfiguration.Address, purpose: String, socket guardian: SocketGuard
    ) throws(AMQPFailure) {
        guard let raw = amqp_new_connection() else { throw AMQPFailure(.connection, "no memory for a connection") }
        var opened = false
        defer {
            if !opened {
                guardian.release()
                amqp_destroy_connection(raw)
            }
        }
        let place = "RabbitMQ at \(address)"
        var limit = timeval(configuration.connectLimit)
        amqp_set_handshake_timeout(raw, &limit)
        amqp_set_rpc_timeout(raw, &limit)
        guard let stream = try Self.socket(raw, configuration.tls) else { throw AMQPFailure(.connection, "no memory for a socket") }
        let status = amqp_socket_open_noblock(stream, address.host, Int32(address.port), &limit)
        guard status == AMQP_STATUS_OK.rawValue else { throw AMQPFailure(status: status, doing: place) }
        descriptor = amqp_get_sockfd(raw)
        // Sends have no time limit in the library: the kernel gives up on a peer that takes nothing.
        var silence = UInt32(clamping: max(1000, configuration.heartbeat.milliseconds * 2))
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &silence, socklen_t(MemoryLayout<UInt32>.size))
        guardian.hold(descriptor)

        var properties = arena.table([
            ("product", "Carillon"),
            ("connection_name", .string("\(configuration.connectionName) \(purpose)")),
            // Without these the broker tells neither of deleted queues nor of alarms.
            (
                "capabilities",
                .table([
                    "consumer_cancel_notify": true, "connection.blocked": true, "basic.nack": true, "publisher_confirms": true,
                ])
            ),
        ])
        let seconds = Int32(clamping: max(1, configuration.heartbeat.milliseconds / 1000))
        let reply =
            configuration.tls?.certificate != nil && configuration.user.isEmpty
            ? carillon_amqp_login_external(raw, configuration.virtualHost, 131_072, seconds, &properties, "")
            : carillon_amqp_login_plain(
                raw, configuration.virtualHost, 131_072, seconds, &properties, configuration.user, configuration.password)
        if let failure = AMQPFailure(reply: reply, doing: "login as \(configuration.user) at \(place)") { throw failure }
        arena.recycle()
        amqp_channel_open(raw, 1)
        if let failure = AMQPFailure(reply: amqp_get_rpc_reply(raw), doing: "opening a channel at \(place)") { throw failure }
        frameMax = Int(amqp_get_frame_max(raw))
        collects = configuration.tls == nil
        self.raw = raw
        self.address = address
        self.socket = guardian
        opened = true
    }

    deinit {
        socket.release()
        amqp_destroy_connection(raw)
    }

    private static func socket(_ raw: amqp_connection_state_t, _ tls: RabbitMQConfiguration.TLS?) throws(AMQPFailure) -> OpaquePointer? {
        guard let tls else { return amqp_tcp_socket_new(raw) }
        guard let stream = amqp_ssl_socket_new(raw) else { return nil }
        amqp_ssl_socket_set_verify_peer(stream, tls.verifiesPeer ? 1 : 0)
        amqp_ssl_socket_set_verify_hostname(stream, tls.verifiesHost ? 1 : 0)
        amqp_ssl_socket_set_ssl_versions(stream, AMQP_TLSv1_2, AMQP_TLSvLATEST)
        var status = amqp_ssl_socket_set_cacert(stream, tls.authorities)
        guard status == AMQP_STATUS_OK.rawValue || !tls.verifiesPeer else {
            throw AMQPFailure(status: status, doing: "reading \(tls.authorities)")
        }
        if let certificate = tls.certificate, let key = tls.key {
            status = amqp_ssl_socket_set_key(stream, certificate, key)
            guard status == AMQP_STATUS_OK.rawValue else { throw AMQPFailure(status: status, doing: "reading \(certificate) and \(key)") }
        }
        return stream
    }

    /// Says goodbye, so that the broker takes back at once what is not settled and logs no lost client.
    func close(within limit: Duration = .seconds(2)) {
        try? flush()
        var limit = timeval(limit)
        amqp_set_rpc_timeout(raw, &limit)
        amqp_connection_close(raw, 200)
    }

    /// After the broker closed the channel with an error: opens it again.
    func reopenChannel() throws(AMQPFailure) {
        outgoing.removeAll()  // it was for the channel that is gone
        var ok = amqp_channel_close_ok_t()
        try sent(amqp_send_method(raw, channel, AMQPMethod.channelCloseOk, &ok), "channel")
        amqp_channel_open(raw, channel)
        try answered("opening the channel again")
    }

    // MARK: Synchronous calls

    func sent(_ status: Int32, _ what: String) throws(AMQPFailure) {
        guard status == AMQP_STATUS_OK.rawValue else { throw AMQPFailure(status: status, doing: what) }
    }

    private func answered(_ what: String) throws(AMQPFailure) {
        arena.recycle()
        if let failure = AMQPFailure(reply: amqp_get_rpc_reply(raw), doing: what) { throw failure }
    }

    func declareExchange(_ name: String, type: String, passive: Bool = false) throws(AMQPFailure) {
        try flush()
        amqp_exchange_declare(raw, channel, arena.bytes(name), arena.bytes(type), passive ? 1 : 0, 1, 0, 0, amqp_table_t())
        try answered("exchange \(name)")
    }

    /// Returns how many messages wait in it, and how many consumers it has.
    @discardableResult
    func declareQueue(
        _ name: String, durable: Bool, exclusive: Bool = false, autoDelete: Bool = false, passive: Bool = false,
        arguments: [(name: String, value: HeaderValue)] = []
    ) throws(AMQPFailure) -> (ready: Int, consumers: Int) {
        try flush()
        let ok = amqp_queue_declare(
            raw, channel, arena.bytes(name), passive ? 1 : 0, durable ? 1 : 0, exclusive ? 1 : 0, autoDelete ? 1 : 0,
            arena.table(arguments))
        let counts = ok.map { (Int($0.pointee.message_count), Int($0.pointee.consumer_count)) } ?? (0, 0)
        try answered("queue \(name)")
        return counts
    }

    /// Does nothing where there is no such queue.
    func deleteQueue(_ name: String) throws(AMQPFailure) {
        amqp_queue_delete(raw, channel, arena.bytes(name), 0, 0)
        try answered("deleting queue \(name)")
    }

    /// Does nothing where there is no such exchange.
    func deleteExchange(_ name: String) throws(AMQPFailure) {
        amqp_exchange_delete(raw, channel, arena.bytes(name), 0)
        try answered("deleting exchange \(name)")
    }

    func bind(queue: String, to exchange: String, routingKey: String) throws(AMQPFailure) {
        try flush()
        amqp_queue_bind(raw, channel, arena.bytes(queue), arena.bytes(exchange), arena.bytes(routingKey), amqp_table_t())
        try answered("binding of \(queue) to \(exchange)")
    }

    func selectConfirms() throws(AMQPFailure) {
        try flush()
        amqp_confirm_select(raw, channel)
        try answered("publisher confirms")
    }

    /// Returns the consumer's tag after the broker's consume-ok: from then on every message of the queue comes here.
    func consume(queue: String, prefetch: Int, exclusive: Bool) throws(AMQPFailure) -> String {
        try flush()
        amqp_basic_qos(raw, channel, 0, UInt16(clamping: max(1, prefetch)), 0)
        try answered("prefetch of \(queue)")
        let ok = amqp_basic_consume(raw, channel, arena.bytes(queue), amqp_bytes_t(), 0, 0, exclusive ? 1 : 0, amqp_table_t())
        let tag = ok.map { String(lossy: $0.pointee.consumer_tag) } ?? ""
        try answered("subscription to \(queue)")
        return tag
    }

    // MARK: Receiving

    /// Sends what was collected, and hands everything that has come to `handler`, at most `most` frames, without waiting. Returns how many frames
    /// there were; more may be at hand where `most` was reached.
    /// Sends heartbeats and notices missing ones on the way, so it must be called all the time.
    func receive(most: Int = 512, _ handler: (AMQPEvent) throws(AMQPFailure) -> Void) throws(AMQPFailure) -> Int {
        var frames = 0
        var now = timeval()
        var frame = amqp_frame_t()
        try flush()
        defer { amqp_maybe_release_buffers(raw) }
        while frames < most {
            // Asking the socket once more costs two calls to the system, and whoever waits on it is told anyway; TLS may have read ahead.
            if frames > 0, collects, amqp_data_in_buffer(raw) == 0, amqp_frames_enqueued(raw) == 0 { return frames }
            let status = amqp_simple_wait_frame_noblock(raw, &frame, &now)
            if status == AMQP_STATUS_TIMEOUT.rawValue { return frames }
            try sent(status, "connection")
            frames += 1
            if frame.frame_type == AMQPFrame.method, let event = try method(frame.payload.method) {
                try handler(event)
            } else if frame.channel == channel, let event = try content.add(frame) {
                try handler(event)
            }
            if frames % 64 == 0 { amqp_maybe_release_buffers(raw) }
        }
        return frames
    }

    /// Waits for what comes until `done` says so, or nothing has come for `limit`. For short connections that do one thing.
    func wait(within limit: Duration, until done: (AMQPEvent) -> Bool) throws(AMQPFailure) {
        var last = Monotonic.now
        var ended = false
        while !ended, Monotonic.now - last < limit.nanoseconds {
            let frames = try receive { event throws(AMQPFailure) in ended = done(event) || ended }
            if frames > 0 {
                last = Monotonic.now
                continue
            }
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            _ = Glibc.poll(&poll, 1, 100)
        }
    }

    private func method(_ method: amqp_method_t) throws(AMQPFailure) -> AMQPEvent? {
        guard let decoded = method.decoded else { throw AMQPFailure(.broken, "a method without content") }
        switch method.id {
        case AMQPMethod.basicAck:
            let ack = decoded.assumingMemoryBound(to: amqp_basic_ack_t.self).pointee
            return .confirmed(ack.delivery_tag, multiple: ack.multiple != 0)
        case AMQPMethod.basicNack:
            let nack = decoded.assumingMemoryBound(to: amqp_basic_nack_t.self).pointee
            return .refused(nack.delivery_tag, multiple: nack.multiple != 0)
        case AMQPMethod.basicDeliver:
            content.begin(deliver: decoded.assumingMemoryBound(to: amqp_basic_deliver_t.self).pointee)
            return nil
        case AMQPMethod.basicReturn:
            content.begin(return: decoded.assumingMemoryBound(to: amqp_basic_return_t.self).pointee)
            return nil
        case AMQPMethod.connectionBlocked:
            return .blocked(String(lossy: decoded.assumingMemoryBound(to: amqp_connection_blocked_t.self).pointee.reason))
        case AMQPMethod.connectionUnblocked: return .unblocked
        case AMQPMethod.basicCancel: throw AMQPFailure(.cancelled, "the queue was deleted on the broker")
        case AMQPMethod.channelClose:
            let failure = AMQPFailure(close: method, doing: "channel")
            var ok = amqp_channel_close_ok_t()
            amqp_send_method(raw, channel, AMQPMethod.channelCloseOk, &ok)
            throw failure
        case AMQPMethod.connectionClose:
            let failure = AMQPFailure(close: method, doing: "connection")
            var ok = amqp_connection_close_ok_t()
            amqp_send_method(raw, 0, AMQPMethod.connectionCloseOk, &ok)
            throw failure
        default: return nil
        }
    }
}

/// What the broker told.
enum AMQPEvent {
    case delivered(AMQPDelivery)
    case confirmed(UInt64, multiple: Bool)
    case refused(UInt64, multiple: Bool)
    /// A mandatory message that reached no queue; its confirm follows.
    case returned(messageID: String, text: String)
    case blocked(String)
    case unblocked
}

extension timeval {
    init(_ duration: Duration) {
        let microseconds = Int(duration.nanoseconds / 1000)
        self.init(tv_sec: microseconds / 1_000_000, tv_usec: microseconds % 1_000_000)
    }
}
