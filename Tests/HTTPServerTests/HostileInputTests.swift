import HTTP
import HTTPServer
import Telemetry
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct HostileInputTests {
    @Test func `ten thousand random and malformed requests trap nothing and the server still answers`() async throws {
        var limits = HTTPServerLimits()
        limits.headerTime = .milliseconds(500)
        limits.bodyGrace = .milliseconds(500)
        let metrics = Metrics()
        try await withServer(HTTPServerTests.router, limits: limits, metrics: metrics) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in 0..<8 {
                    group.addTask {
                        var generator = SeededGenerator(seed: UInt64(lane) + 1)
                        for _ in 0..<1250 {
                            let client = try server.client()
                            try await client.send(HostileRequest.make(using: &generator))
                            switch Int.random(in: 0..<3, using: &generator) {
                            case 0: client.reset()
                            case 1:
                                client.closeWriting()
                                _ = try await client.untilEnd()
                            default: break
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let answer = try await server.answer(get("/hello", "Connection: close"))
            #expect(answer.text == "hello\n")
            try await eventually { metrics.prometheusText.contains("carillon_http_open_connections 0") }
        }
    }
}

/// Reproducible random numbers (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

enum HostileRequest {
    private static let good: [[UInt8]] =
        [
            get("/hello"), get("/cached"), get("/show/a%20b?x=y&z"), get("/hello") + get("/cached"),
            "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nabcde",
            "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: test\r\nCookie: a=b; c=\"d\"\r\nAuthorization: Basic eDp5\r\n\r\n",
        ].map { Array($0.utf8) } + MalformedRequest.all.map(\.bytes)

    /// Noise, or a request with some of its bytes changed, doubled, left out or cut off.
    static func make(using generator: inout SeededGenerator) -> [UInt8] {
        if Int.random(in: 0..<10, using: &generator) == 0 {
            return (0..<Int.random(in: 1...2000, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
        }
        var bytes = good.randomElement(using: &generator) ?? []
        for _ in 0..<Int.random(in: 0...6, using: &generator) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes.remove(at: index)
            case 2: bytes.insert([0, 9, 10, 13, 32, 37, 58].randomElement(using: &generator) ?? 0, at: index)
            case 3: bytes.insert(contentsOf: bytes[index..<min(bytes.count, index + 20)], at: index)
            case 4: bytes.removeLast(min(bytes.count, Int.random(in: 1...30, using: &generator)))
            default: bytes.swapAt(index, bytes.count / 2)
            }
        }
        return bytes
    }
}
