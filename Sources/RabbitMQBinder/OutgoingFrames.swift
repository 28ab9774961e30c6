import CRabbitMQ

/// AMQP frames one behind the other in memory, so that many messages and acknowledgements go out with one call to the system: the library sends
/// three times for each message.
final class OutgoingFrames {
    private var memory: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0
    private static let usual = 64 * 1024
    private static let end: UInt8 = 0xCE
    /// Type, channel and length in front of a frame's content, and a byte behind it.
    private static let frame = 8

    init() {
        capacity = Self.usual
        memory = .allocate(capacity: capacity)
    }

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: count) }

    /// Everything was sent.
    func removeAll() {
        count = 0
        guard capacity > 16 * Self.usual else { return }
        memory.deallocate()
        capacity = Self.usual
        memory = .allocate(capacity: capacity)
    }

    // MARK: Methods

    /// Method, header and body frames of one message; a status of the library. Nothing is added when it is not OK.
    func publish(
        channel: UInt16, exchange: String, routingKey: String, mandatory: Bool, properties: inout amqp_basic_properties_t, body: [UInt8],
        frameMax: Int
    ) -> Int32 {
        let before = count
        reserve(frameMax + exchange.utf8.count + routingKey.utf8.count + body.count + 64)
        begin(AMQPFrame.method, channel)
        add(UInt32(0x003C_0028))
        add(UInt16(0))
        add(short: exchange)
        add(short: routingKey)
        add(UInt8(mandatory ? 1 : 0))
        finish(before)

        let header = count
        begin(AMQPFrame.header, channel)
        add(UInt32(0x003C_0000))
        add(UInt64(body.count))
        let room = frameMax - Self.frame - 12
        let written = amqp_encode_properties(60, &properties, amqp_bytes_t(len: room, bytes: memory + count))
        guard written >= 0 else {
            count = before
            return written
        }
        count += Int(written)
        finish(header)

        let part = frameMax - Self.frame
        body.withUnsafeBufferPointer { body in
            var offset = 0
            while offset < body.count, let start = body.baseAddress {
                let length = min(part, body.count - offset)
                let frame = count
                reserve(length + Self.frame)
                begin(AMQPFrame.body, channel)
                (memory + count).update(from: start + offset, count: length)
                count += length
                finish(frame)
                offset += length
            }
        }
        return AMQP_STATUS_OK.rawValue
    }

    func ack(channel: UInt16, tag: UInt64, multiple: Bool) { settle(channel, 0x003C_0050, tag, multiple) }

    func reject(channel: UInt16, tag: UInt64, requeue: Bool) { settle(channel, 0x003C_005A, tag, requeue) }

    private func settle(_ channel: UInt16, _ method: UInt32, _ tag: UInt64, _ bit: Bool) {
        let frame = count
        reserve(32)
        begin(AMQPFrame.method, channel)
        add(method)
        add(tag)
        add(UInt8(bit ? 1 : 0))
        finish(frame)
    }

    // MARK: Bytes

    private func reserve(_ more: Int) {
        guard count + more > capacity else { return }
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.update(from: memory, count: count)
        memory.deallocate()
        memory = larger
    }

    /// The length is filled in by `finish`.
    private func begin(_ type: UInt8, _ channel: UInt16) {
        add(type)
        add(channel)
        add(UInt32(0))
    }

    private func finish(_ frame: Int) {
        let length = UInt32(count - frame - 7).bigEndian
        UnsafeMutableRawPointer(memory + frame + 3).storeBytes(of: length, as: UInt32.self)
        add(Self.end)
    }

    private func add<Number: FixedWidthInteger>(_ number: Number) {
        UnsafeMutableRawPointer(memory + count).storeBytes(of: number.bigEndian, as: Number.self)
        count += MemoryLayout<Number>.size
    }

    /// At most 255 bytes, which whoever calls has looked at.
    private func add(short text: String) {
        var text = text
        text.withUTF8 { utf8 in
            let length = min(255, utf8.count)
            add(UInt8(length))
            if let start = utf8.baseAddress {
                (memory + count).update(from: start, count: length)
                count += length
            }
        }
    }
}
