import CPosix
import CRabbitMQ
import Glibc
import Streams

/// What is sent without waiting for an answer. On plain TCP it is collected and goes out with `flush`, at the latest before the next call that
/// waits for the broker; over TLS the library sends it at once.
extension AMQPConnection {
    /// Larger bodies are not worth a copy.
    private static let largestCopy = 256 * 1024
    /// As much may wait before it is sent in any case.
    private static let most = 256 * 1024

    func publish(
        exchange: String, routingKey: String, mandatory: Bool, properties: inout amqp_basic_properties_t, body: [UInt8]
    ) throws(AMQPFailure) {
        if collects, body.count <= Self.largestCopy {
            let status = outgoing.publish(
                channel: channel, exchange: exchange, routingKey: routingKey, mandatory: mandatory, properties: &properties, body: body,
                frameMax: frameMax)
            try sent(status, "publish")
            if outgoing.count > Self.most { try flush() }
            return
        }
        try flush()
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
        guard collects else { return try sent(amqp_basic_ack(raw, channel, tag, multiple ? 1 : 0), "acknowledgement") }
        outgoing.ack(channel: channel, tag: tag, multiple: multiple)
    }

    /// `requeue`: deliver it again; otherwise the broker drops it, or dead-letters it where the queue says so.
    func reject(_ tag: UInt64, requeue: Bool) throws(AMQPFailure) {
        guard collects else { return try sent(amqp_basic_reject(raw, channel, tag, requeue ? 1 : 0), "rejection") }
        outgoing.reject(channel: channel, tag: tag, requeue: requeue)
    }

    /// Asks for no more deliveries; those under way still come.
    func cancelConsumer(_ tag: String) throws(AMQPFailure) {
        try flush()
        var cancel = amqp_basic_cancel_t(consumer_tag: arena.bytes(tag), nowait: 1)
        let status = amqp_send_method(raw, channel, AMQPMethod.basicCancel, &cancel)
        arena.recycle()
        try sent(status, "end of the subscription")
    }

    /// Sends what was collected. Waits for a peer that takes nothing, until `SocketGuard` cuts it or the kernel gives it up.
    func flush() throws(AMQPFailure) {
        guard outgoing.count > 0 else { return }
        socket.sending(true)
        defer {
            socket.sending(false)
            outgoing.removeAll()
        }
        var rest = outgoing.bytes[...]
        while !rest.isEmpty {
            let count = carillon_send_at_hand(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                var writable = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&writable, 1, 1000)
            } else if errno != EINTR {
                throw AMQPFailure(.connection, "send: \(String(cString: strerror(errno)))")
            }
        }
    }
}
