import CRabbitMQ
import Glibc
import Streams
import ThreadExecutor

/// One connection with exactly one channel: the library loses frames of a second one. Every call on the one thread that made it, but `SocketGuard`.
final class AMQPConnection {
    private let raw: amqp_connection_state_t
    private let socket: SocketGuard
    private let channel: amqp_channel_t = 1
    private var content = ContentAssembler()
    let arena = AMQPArena()
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
        var limit = timeval(limit)
        amqp_set_rpc_timeout(raw, &limit)
        amqp_connection_close(raw, 200)
    }

    /// After the broker closed the channel with an error: opens it again.
    func reopenChannel() throws(AMQPFailure) {
        var ok = amqp_channel_close_ok_t()
        try sent(amqp_send_method(raw, channel, AMQPMethod.channelCloseOk, &ok), "channel")
        amqp_channel_open(raw, channel)
        try answered("opening the channel again")
    }

    // MARK: Synchronous calls

    private func answered(_ what: String) throws(AMQPFailure) {
        arena.recycle()
        if let failure = AMQPFailure(reply: amqp_get_rpc_reply(raw), doing: what) { throw failure }
    }

    func declareExchange(_ name: String, type: String, passive: Bool = false) throws(AMQPFailure) {
        amqp_exchange_declare(raw, channel, arena.bytes(name), arena.bytes(type), passive ? 1 : 0, 1, 0, 0, amqp_table_t())
        try answered("exchange \(name)")
    }

    /// Returns how many messages wait in it.
    @discardableResult
    func declareQueue(
        _ name: String, durable: Bool, exclusive: Bool = false, autoDelete: Bool = false, passive: Bool = false,
        arguments: [(name: String, value: HeaderValue)] = []
    ) throws(AMQPFailure) -> Int {
        let ok = amqp_queue_declare(
            raw, channel, arena.bytes(name), passive ? 1 : 0, durable ? 1 : 0, exclusive ? 1 : 0, autoDelete ? 1 : 0,
            arena.table(arguments))
        let waiting = ok.map { Int($0.pointee.message_count) } ?? 0
        try answered("queue \(name)")
        return waiting
    }

    func bind(queue: String, to exchange: String, routingKey: String) throws(AMQPFailure) {
        amqp_queue_bind(raw, channel, arena.bytes(queue), arena.bytes(exchange), arena.bytes(routingKey), amqp_table_t())
        try answered("binding of \(queue) to \(exchange)")
    }

    func selectConfirms() throws(AMQPFailure) {
        amqp_confirm_select(raw, channel)
        try answered("publisher confirms")
    }

    /// Returns the consumer's tag after the broker's consume-ok: from then on every message of the queue comes here.
    func consume(queue: String, prefetch: Int, exclusive: Bool) throws(AMQPFailure) -> String {
        amqp_basic_qos(raw, channel, 0, UInt16(clamping: max(1, prefetch)), 0)
        try answered("prefetch of \(queue)")
        let ok = amqp_basic_consume(raw, channel, arena.bytes(queue), amqp_bytes_t(), 0, 0, exclusive ? 1 : 0, amqp_table_t())
        let tag = ok.map { String(lossy: $0.pointee.consumer_tag) } ?? ""
        try answered("subscription to \(queue)")
        return tag
    }

    // MARK: Sending

    private func sent(_ status: Int32, _ what: String) throws(AMQPFailure) {
        guard status == AMQP_STATUS_OK.rawValue else { throw AMQPFailure(status: status, doing: what) }
    }

    func publish(
        exchange: String, routingKey: String, mandatory: Bool, properties: inout amqp_basic_properties_t, body: [UInt8]
    ) throws(AMQPFailure) {
        let exchange = arena.bytes(exchange)
        let key = arena.bytes(routingKey)
        socket.sending(true)
        let status = body.withUnsafeBytes { bytes in
            let payload = amqp_bytes_t(len: bytes.count, bytes: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            return amqp_basic_publish(raw, channel, exchange, key, mandatory ? 1 : 0, 0, &properties, payload)
        }
        socket.sending(false)
        try sent(status, "publish")
    }

    func ack(_ tag: UInt64, multiple: Bool) throws(AMQPFailure) {
        try sent(amqp_basic_ack(raw, channel, tag, multiple ? 1 : 0), "acknowledgement")
    }

    /// `requeue`: deliver it again; otherwise the broker drops it, or dead-letters it where the queue says so.
    func reject(_ tag: UInt64, requeue: Bool) throws(AMQPFailure) {
        try sent(amqp_basic_reject(raw, channel, tag, requeue ? 1 : 0), "rejection")
    }

    /// Asks for no more deliveries; those under way still come.
    func cancelConsumer(_ tag: String) throws(AMQPFailure) {
        var cancel = amqp_basic_cancel_t(consumer_tag: arena.bytes(tag), nowait: 1)
        let status = amqp_send_method(raw, channel, AMQPMethod.basicCancel, &cancel)
        arena.recycle()
        try sent(status, "end of the subscription")
    }

    // MARK: Receiving

    /// Hands everything that has come to `handler`, at most `most` frames, without waiting. Returns how many frames there were.
    /// Sends heartbeats and notices missing ones on the way, so it must be called all the time.
    func receive(most: Int = 512, _ handler: (AMQPEvent) throws(AMQPFailure) -> Void) throws(AMQPFailure) -> Int {
        var frames = 0
        var now = timeval()
        var frame = amqp_frame_t()
        defer { amqp_maybe_release_buffers(raw) }
        while frames < most {
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
