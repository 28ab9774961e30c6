import Bus
import JSON
import Streams
import TestSupport
import Testing

@Suite struct BusHostileInputTests {
    private static let seeds = [
        "{\"type\":\"RefreshRemoteApplicationEvent\",\"timestamp\":1700000000000,\"originService\":\"lab:1:zz\",\"destinationService\":\"**\",\"id\":\"i\"}",
        "{\"type\":\"EnvironmentChangeRemoteApplicationEvent\",\"timestamp\":\"2024-01-01T00:00:00Z\",\"originService\":\"lab:1:zz\",\"destinationService\":\"orders:**:{x}\",\"id\":\"i\",\"values\":{\"k\":\"\\ud83d\\ude00\",\"n\":1e3}}",
        "{\"type\":\"AckRemoteApplicationEvent\",\"timestamp\":-1.5e300,\"originService\":\"lab:1:zz\",\"destinationService\":null,\"id\":5,\"ackId\":\"x\",\"ackDestinationService\":\"**\",\"event\":\"a.b.C\"}",
        "{\"type\":\"Custom\",\"deep\":[[[[[[{\"a\":[]}]]]]]],\"originService\":\"\",\"destinationService\":\"?:*,{y}:**\"}",
    ]
    private static let scraps = [
        "{", "}", "[", "]", "\"", "\\", ":", ",", "null", "\\uD800", "1e999", "-", "0x1", "\u{0}", "**", "{{{{", ":::",
        "9223372036854775808", "é\u{301}",
        "\u{FEFF}",
    ]

    private static func mutated(_ generator: inout SystemRandomNumberGenerator) -> [UInt8] {
        var bytes = Array(seeds.randomElement(using: &generator)?.utf8 ?? "".utf8)
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
            let place = Int.random(in: 0...bytes.count, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: if place < bytes.count { bytes[place] = .random(in: 0...255, using: &generator) }
            case 1: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 0...20, using: &generator)))
            case 2: bytes.insert(contentsOf: Array((scraps.randomElement(using: &generator) ?? "").utf8), at: place)
            case 3: bytes = Array(bytes.prefix(place))
            case 4: bytes.insert(contentsOf: bytes.prefix(place), at: place)
            default: bytes = (0..<Int.random(in: 0...200, using: &generator)).map { _ in .random(in: 0...255, using: &generator) }
            }
        }
        return bytes
    }

    private static let long = String(repeating: "x", count: 20_000)

    private static func headers(_ generator: inout SystemRandomNumberGenerator) -> [String: HeaderValue] {
        var headers: [String: HeaderValue] = [:]
        let names = [
            BusHeader.version, BusHeader.keys, BusHeader.keyCount, BusHeader.outcome, BusHeader.time, BusHeader.error, BusHeader.profiles,
            BusHeader.rollCall, BusHeader.commitTime,
        ]
        let values: [HeaderValue] = [
            "", "applied", "failed", "left", .integer(.max), .integer(.min), .double(.nan), .bytes([0xFF, 0xFE]), .null, .array(["a"]), "%",
            "%4,%zz",
            .string(long), .table(["a": 1]),
        ]
        for name in names where Bool.random(using: &generator) { headers[name] = values.randomElement(using: &generator) }
        return headers
    }

    @Test func `ten thousand malformed messages trap nothing, and the bus goes on`() async throws {
        let binder = MemoryBinder()
        let acknowledged = Collected<String>()
        try await withBuses(["orders:dev:1:a"], over: binder) { bus in
            bus.handle(.refresh) { message in
                EventBus.Handled(.applied, running: RunningConfiguration(version: message.details.version))
            }
            bus.handle(.environmentChange) { _ in EventBus.Handled(.applied) }
            bus.observe { observation in
                if case .sent(let message) = observation { acknowledged.add(message.event.acknowledgement?.id ?? "") }
                if case .received(let message, _) = observation { _ = (message.receipt, message.details.headers, message.event.encoded) }
            }
        } _: { _ in
            var generator = SystemRandomNumberGenerator()
            for _ in 0..<10_000 {
                binder.inject(
                    Envelope(payload: Self.mutated(&generator), contentType: "application/json", headers: Self.headers(&generator)))
            }
            let last = BusEvent(.refresh, origin: "lab:2:last", destination: "orders:dev:**")
            binder.inject(Envelope(payload: last.encoded))
            try await eventually(within: .seconds(120), "the last event is acknowledged") {
                acknowledged.all.contains(last.id)
            }
        }
    }

    @Test func `patterns and ids of any shape are compared in bounded time`() {
        var generator = SystemRandomNumberGenerator()
        let pieces = ["*", "?", "**", ":", "{x}", "{", "}", "a", "b", ",", "", "ü", "{:}", "/", "\\"]
        for _ in 0..<10_000 {
            func text(_ limit: Int) -> String {
                (0..<Int.random(in: 0...limit, using: &generator)).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            }
            _ = DestinationPattern.isFor(DestinationPattern.normalised(text(20)), id: text(12), configurationNames: [text(3)])
        }
        let started = ContinuousClock.now
        let evil = String(repeating: "*a", count: 2000)
        #expect(
            !DestinationPattern.matches(
                evil + ":**:" + evil, id: String(repeating: "a", count: 2000) + "b:1:" + String(repeating: "a", count: 2000)))
        #expect(ContinuousClock.now - started < .seconds(60))
    }

    @Test(arguments: ["[", "{\"a\":"]) func `deep nesting is refused`(open: String) {
        #expect(throws: JSONError.self) { try JSONReader.read(Array(String(repeating: open, count: 100_000).utf8)) }
    }
}
