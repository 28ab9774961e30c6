import CZlib
import Streams
import TestSupport
import Testing

@testable import RabbitMQBinder

@Suite struct ContentEncodingTests {
    private static let limits = InflationLimits(largest: 8 << 20, ratio: 200)
    private static let text = Array("a text, a text, and once more a text, so that there is something to press".utf8)

    @Test(
        arguments: [
            ("gzip", ContentEncoding.gzip, nil), ("GZIP:UTF-8", .gzip, "UTF-8"), ("deflate, gzip", .deflate, "gzip"), ("zip", .zip, nil),
            ("gzip:", .gzip, nil),
        ] as [(String, ContentEncoding, String?)])
    func `the first encoding is known, and the rest stays`(_ property: String, _ encoding: ContentEncoding, _ rest: String?) {
        let found = ContentEncoding.first(of: property)
        #expect(found?.encoding == encoding && found?.rest == rest)
    }

    @Test(arguments: ["", "UTF-8", "br", "gzipped", "UTF-8:gzip", ":gzip"]) func `other encodings are not ours`(_ property: String) {
        #expect(ContentEncoding.first(of: property) == nil)
    }

    @Test func `every form gives the body back`() throws {
        let wrapped = Packed.zlib(Self.text)
        for (encoding, body) in [
            (ContentEncoding.gzip, Packed.gzip(Self.text)), (.gzip, Packed.gzip(Self.text) + [0, 0, 0]), (.deflate, wrapped),
            (.deflate, Array(wrapped.dropFirst(2).dropLast(4))), (.zip, Packed.zip(Self.text)), (.zip, Packed.zip(Self.text, stored: true)),
        ] {
            #expect(try encoding.undone(body, within: Self.limits) == Self.text)
        }
        let twice = try ContentEncoding.gzip.undone(Packed.gzip(Self.text) + Packed.gzip([1, 2]), within: Self.limits)
        #expect(twice == Self.text + [1, 2])
        #expect(try ContentEncoding.gzip.undone(Packed.gzip([]), within: Self.limits) == [])
    }

    @Test func `a few bytes that become very many are refused, and many that become more are not`() throws {
        let zeros = [UInt8](repeating: 0, count: 64 << 20)
        let bomb = Packed.gzip(zeros)
        #expect(bomb.count < 100_000)
        for encoding in [ContentEncoding.gzip, .deflate, .zip] {
            let body = encoding == .gzip ? bomb : encoding == .zip ? Packed.zip(zeros) : Packed.zlib(zeros)
            #expect(throws: InflationFailure.self) { try encoding.undone(body, within: Self.limits) }
            #expect(throws: InflationFailure.self) { try encoding.undone(body, within: InflationLimits(largest: 1 << 30, ratio: 200)) }
            #expect(try encoding.undone(body, within: InflationLimits(largest: 1 << 30, ratio: 2000)).count == zeros.count)
        }
        let small = Packed.gzip([UInt8](repeating: 0, count: 1 << 20))  // a thousand to one, and still harmless
        #expect(try ContentEncoding.gzip.undone(small, within: Self.limits).count == 1 << 20)
    }

    @Test func `what is cut off or changed is refused or read, and never traps`() {
        var generator = SplitMix(state: 11)
        for (encoding, whole) in [
            (ContentEncoding.gzip, Packed.gzip(Self.text)), (.deflate, Packed.zlib(Self.text)), (.zip, Packed.zip(Self.text)),
            (.zip, Packed.zip(Self.text, stored: true)),
        ] {
            for length in 0..<whole.count {
                let read = try? encoding.undone(Array(whole.prefix(length)), within: Self.limits)
                #expect(read == nil || read == Self.text || length == 0)
            }
            for _ in 0..<2000 {
                var bytes = whole
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
                }
                _ = try? encoding.undone(bytes, within: Self.limits)
            }
            for _ in 0..<500 {
                let noise = (0..<Int.random(in: 0...200, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
                _ = try? encoding.undone(noise, within: Self.limits)
            }
        }
    }

    // MARK: Batches

    @Test func `a batch has the records that its lengths say, and anything else is none`() {
        #expect(SpringBatch.records(of: [0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 2, 8, 9]) == [[7], [], [8, 9]])
        for wrong: [UInt8] in [[], [0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 2, 7], [0, 0, 0, 1, 7, 0], [255, 255, 255, 255, 1]] {
            #expect(SpringBatch.records(of: wrong) == nil)
        }
        #expect(SpringBatch.records(of: [UInt8](repeating: 0, count: 4 * SpringBatch.most))?.count == SpringBatch.most)
        #expect(SpringBatch.records(of: [UInt8](repeating: 0, count: 4 * SpringBatch.most + 4)) == nil)
    }

    @Test func `what cannot be undone is handed on as it came`() {
        var delivery = AMQPDelivery(
            tag: 1, redelivered: false, exchange: "", routingKey: "",
            envelope: Envelope(payload: [1, 2, 3], headers: ["amqp_contentEncoding": "gzip", "springBatchFormat": "lengthHeader4"]))
        delivery.isEncoded = true
        delivery.isBatch = true
        var reasons = 0
        let parts = ReceivedContent.parts(of: delivery, within: Self.limits) { _ in reasons += 1 }
        #expect(parts.map(\.envelope) == [delivery.envelope] && parts[0].record == nil)
        delivery.envelope.headers["amqp_contentEncoding"] = "UTF-8"
        let second = ReceivedContent.parts(of: delivery, within: Self.limits) { _ in reasons += 1 }
        #expect(second.map(\.envelope) == [delivery.envelope])
        #expect(reasons == 2)
    }

    @Test func `a compressed batch becomes its messages, each with an id of its own`() {
        var delivery = AMQPDelivery(
            tag: 1, redelivered: false, exchange: "", routingKey: "",
            envelope: Envelope(
                id: "m", payload: Packed.gzip([0, 0, 0, 1, 7, 0, 0, 0, 1, 8]),
                headers: [
                    "amqp_contentEncoding": "gzip:UTF-8", "springBatchFormat": "lengthHeader4", "springAutoDecompress": true, "own": 1,
                ]))
        delivery.isEncoded = true
        delivery.isBatch = true
        let parts = ReceivedContent.parts(of: delivery, within: Self.limits)
        #expect(parts.map(\.envelope.id) == ["m", "m#1"])
        #expect(parts.map(\.envelope.payload) == [[7], [8]])
        #expect(parts.allSatisfy { $0.envelope.headers == ["amqp_contentEncoding": "UTF-8", "own": 1] })
    }
}

/// Bodies as Spring's post-processors make them.
enum Packed {
    static func zlib(_ bytes: [UInt8]) -> [UInt8] {
        var size = compressBound(UInt(bytes.count))
        var out = [UInt8](repeating: 0, count: Int(size))
        let status = compress2(&out, &size, bytes, UInt(bytes.count), 6)
        precondition(status == Z_OK)
        return Array(out.prefix(Int(size)))
    }

    private static func little(_ number: UInt, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    static func gzip(_ bytes: [UInt8]) -> [UInt8] {
        [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF] + zlib(bytes).dropFirst(2).dropLast(4) + little(crc32(0, bytes, UInt32(bytes.count)), 4)
            + little(UInt(bytes.count), 4)
    }

    static func zip(_ bytes: [UInt8], stored: Bool = false) -> [UInt8] {
        let content = stored ? bytes : Array(zlib(bytes).dropFirst(2).dropLast(4))
        let name = Array("content".utf8)
        return [0x50, 0x4B, 3, 4, 20, 0, 0, 0] + little(stored ? 0 : 8, 2) + [0, 0, 0, 0] + little(crc32(0, bytes, UInt32(bytes.count)), 4)
            + little(UInt(content.count), 4) + little(UInt(bytes.count), 4) + little(UInt(name.count), 2) + [0, 0] + name + content
    }
}
