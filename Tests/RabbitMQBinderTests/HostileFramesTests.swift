import CRabbitMQ
import Streams
import TestSupport
import Testing

@testable import RabbitMQBinder

/// What a broken or hostile broker may send must end as an error of the connection, never as a trap.
@Suite struct HostileFramesTests {
    @Test func `ten thousand random property blocks are read or refused`() {
        var generator = SplitMix(state: 3)
        let arena = AMQPArena()
        var readable = 0
        for round in 0..<10_000 {
            // Noise, or a block as a broker writes it in which a few bytes were changed.
            var bytes = (0..<Int.random(in: 0...300, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if !round.isMultiple(of: 4) {
                let table = Self.table(using: &generator, depth: 0)
                bytes = [0x20, 0] + table
                for _ in 0..<Int.random(in: 0...3, using: &generator) {
                    bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
                }
            }
            var decoded: UnsafeMutableRawPointer?
            if amqp_decode_properties(60, arena.raw, arena.bytes(bytes), &decoded) == 0, let decoded {
                readable += 1
                var delivery = AMQPDelivery(
                    tag: 1, redelivered: false, exchange: "", routingKey: "", envelope: Envelope(id: "", payload: []))
                MessageProperties.read(decoded.assumingMemoryBound(to: amqp_basic_properties_t.self).pointee, into: &delivery)
                #expect(!delivery.envelope.id.isEmpty)
            }
            _ = MessageProperties.copy(bytes, changes: [("a", 1), ("b", nil)], withoutTimestamp: true, in: arena)
            arena.recycle()
        }
        #expect(readable > 1000)
    }

    /// A table of random fields, its length in front.
    private static func table(using generator: inout SplitMix, depth: Int) -> [UInt8] {
        var fields: [UInt8] = []
        for index in 0..<Int.random(in: 0...5, using: &generator) {
            fields += [2, UInt8(ascii: "h"), UInt8(48 + index)] + field(using: &generator, depth: depth)
        }
        return length(fields) + fields
    }

    private static func field(using generator: inout SplitMix, depth: Int) -> [UInt8] {
        func noise(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) } }
        let sizes: [(String, Int)] = [
            ("t", 1), ("b", 1), ("B", 1), ("s", 2), ("u", 2), ("I", 4), ("i", 4), ("l", 8), ("L", 8), ("f", 4), ("d", 8), ("D", 5),
            ("T", 8), ("V", 0),
        ]
        switch Int.random(in: 0..<10, using: &generator) {
        case 0...5:
            let (kind, size) = sizes[Int.random(in: 0..<sizes.count, using: &generator)]
            return Array(kind.utf8) + noise(size)
        case 6, 7:
            let text = noise(Int.random(in: 0...20, using: &generator))
            return [UInt8(ascii: Bool.random(using: &generator) ? "S" : "x")] + length(text) + text
        case 8 where depth < 4: return [UInt8(ascii: "F")] + table(using: &generator, depth: depth + 1)
        case 9 where depth < 4:
            var values: [UInt8] = []
            for _ in 0..<Int.random(in: 0...3, using: &generator) { values += field(using: &generator, depth: depth + 1) }
            return [UInt8(ascii: "A")] + length(values) + values
        default: return [UInt8(ascii: "V")]
        }
    }

    private static func length(_ bytes: [UInt8]) -> [UInt8] {
        [0, 0, UInt8(truncatingIfNeeded: bytes.count >> 8), UInt8(truncatingIfNeeded: bytes.count)]
    }

    @Test func `frames in any order and length are put together or refused`() {
        var generator = SplitMix(state: 5)
        let arena = AMQPArena()
        var properties = amqp_basic_properties_t()
        properties._flags = AMQPFlag.messageID
        properties.message_id = arena.bytes("m")
        var whole = 0
        withUnsafeMutablePointer(to: &properties) { decoded in
            for _ in 0..<10_000 {
                var content = ContentAssembler()
                for _ in 0..<Int.random(in: 1...6, using: &generator) {
                    var frame = amqp_frame_t()
                    frame.channel = 1
                    do throws(AMQPFailure) {
                        switch Int.random(in: 0..<5, using: &generator) {
                        case 0: content.begin(deliver: amqp_basic_deliver_t())
                        case 1: content.begin(return: amqp_basic_return_t())
                        case 2, 3:
                            frame.frame_type = AMQPFrame.header
                            frame.payload.properties.class_id = Bool.random(using: &generator) ? 60 : 20
                            frame.payload.properties.body_size = [0, 3, 5, .max, 1 << 40].randomElement(using: &generator) ?? 0
                            frame.payload.properties.decoded = UnsafeMutableRawPointer(decoded)
                            if try content.add(frame) != nil { whole += 1 }
                        default:
                            frame.frame_type = AMQPFrame.body
                            frame.payload.body_fragment = arena.bytes(
                                [UInt8](repeating: 1, count: Int.random(in: 0...6, using: &generator)))
                            if try content.add(frame) != nil { whole += 1 }
                        }
                    } catch {
                        #expect(error.cause == .broken)
                        break
                    }
                }
            }
        }
        #expect(whole > 100)
    }
}
