import CRabbitMQ
import Streams

/// A message from the broker, all copied out of the library's buffers.
struct AMQPDelivery {
    var tag: UInt64
    var redelivered: Bool
    var exchange: String
    var routingKey: String
    /// The properties as they came on the wire, for copies that must keep every type.
    var properties: [UInt8] = []
    var envelope: Envelope
    /// What the headers say: 1 unless it is a copy made for a later attempt, or a quorum queue has counted.
    var attempt = 1
    /// Whether the headers call the body a batch of Spring's.
    var isBatch = false
    /// Whether there is a content encoding.
    var isEncoded = false
}

/// Puts method, header and body frames of one channel together.
struct ContentAssembler {
    private enum Kind {
        case deliver
        case returned(String)
    }
    private struct Content {
        var kind: Kind
        var delivery: AMQPDelivery
        var missing: UInt64 = 0
    }
    /// RabbitMQ's own hard limit of a message.
    private static let largest: UInt64 = 536_870_912
    private var current: Content?

    mutating func begin(deliver method: amqp_basic_deliver_t) {
        let delivery = AMQPDelivery(
            tag: method.delivery_tag, redelivered: method.redelivered != 0, exchange: String(lossy: method.exchange),
            routingKey: String(lossy: method.routing_key), envelope: Envelope(id: "", payload: []))
        current = Content(kind: .deliver, delivery: delivery)
    }

    mutating func begin(return method: amqp_basic_return_t) {
        let text = "\(method.reply_code) \(String(lossy: method.reply_text))"
        let delivery = AMQPDelivery(
            tag: 0, redelivered: false, exchange: String(lossy: method.exchange), routingKey: String(lossy: method.routing_key),
            envelope: Envelope(id: "", payload: []))
        current = Content(kind: .returned(text), delivery: delivery)
    }

    /// Takes a header or body frame; returns the message when it is whole.
    mutating func add(_ frame: amqp_frame_t) throws(AMQPFailure) -> AMQPEvent? {
        guard frame.frame_type == AMQPFrame.header || frame.frame_type == AMQPFrame.body else { return nil }
        guard var content = current else { throw AMQPFailure(.broken, "content that belongs to no message") }
        current = nil
        if frame.frame_type == AMQPFrame.header {
            let header = frame.payload.properties
            guard header.body_size <= Self.largest, let decoded = header.decoded, header.class_id == 60 else {
                throw AMQPFailure(.broken, "a message header that RabbitMQ does not send")
            }
            content.delivery.properties = [UInt8](header.raw)
            MessageProperties.read(decoded.assumingMemoryBound(to: amqp_basic_properties_t.self).pointee, into: &content.delivery)
            content.missing = header.body_size
            content.delivery.envelope.payload.reserveCapacity(Int(header.body_size))
        } else {
            let fragment = frame.payload.body_fragment
            guard UInt64(fragment.len) <= content.missing else { throw AMQPFailure(.broken, "a message longer than its header says") }
            if let start = fragment.bytes {
                content.delivery.envelope.payload.append(contentsOf: UnsafeRawBufferPointer(start: start, count: fragment.len))
            }
            content.missing -= UInt64(fragment.len)
        }
        guard content.missing == 0 else {
            current = content
            return nil
        }
        switch content.kind {
        case .deliver: return .delivered(content.delivery)
        case .returned(let text): return .returned(messageID: content.delivery.envelope.id, text: text)
        }
    }
}
