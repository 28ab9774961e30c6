import Streams

/// What a message from the broker holds for whoever handles it: its body as it was before a peer compressed it, and each message of a batch.
enum ReceivedContent {
    struct Part {
        var envelope: Envelope
        /// Nil for a message that came alone.
        var record: BatchRecord?
    }

    /// One part, or one for each record of a batch. `undone` tells why something is handed on as it came.
    static func parts(of delivery: AMQPDelivery, within limits: InflationLimits, undone: (String) -> Void = { _ in }) -> [Part] {
        var envelope = delivery.envelope
        guard delivery.isEncoded || delivery.isBatch else { return [Part(envelope: envelope)] }
        let encoding = MessageProperties.contentEncoding
        if case .string(let property)? = envelope.headers[encoding], let (first, rest) = ContentEncoding.first(of: property) {
            do throws(InflationFailure) {
                envelope.payload = try first.undone(envelope.payload, within: limits)
            } catch {
                undone("its \(first.rawValue) cannot be undone: \(error.text)")
                return [Part(envelope: delivery.envelope)]
            }
            envelope.headers[encoding] = rest.map { .string($0) }
            envelope.headers[SpringBatch.decompressHeader] = nil
        }
        guard delivery.isBatch else { return [Part(envelope: envelope)] }
        guard let records = SpringBatch.records(of: envelope.payload) else {
            undone("it is no whole batch of at most \(SpringBatch.most) messages")
            return [Part(envelope: delivery.envelope)]
        }
        envelope.headers[SpringBatch.header] = nil
        let rest = envelope.headers[encoding]?.text
        return records.enumerated().map { index, payload in
            var one = envelope
            one.payload = payload
            if index > 0 { one.id = "\(envelope.id)#\(index)" }
            return Part(envelope: one, record: BatchRecord(id: one.id, contentEncoding: rest))
        }
    }
}
