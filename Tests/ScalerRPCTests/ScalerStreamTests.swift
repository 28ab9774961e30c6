import Lifecycle
import ScalerRPC
import TestSupport
import Testing

/// Streams to a foreign client, their end, and clients that misbehave.
@Suite(.enabled(if: ForeignClient.isInstalled, ForeignClient.whyNot), .timeLimit(.minutes(5)))
struct ScalerStreamTests {
    private let board = ScalerBoard(counts: ["orders": 0])
    private let request = ForeignClient.Request(name: "so", metadata: ["policy": "orders"])

    @Test func `a hundred streams are told the state and each change of it`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                let streams = try (0..<100).map { _ in try client.open("StreamIsActive", request) }
                try await eventually("the first state") { streams.allSatisfy { client.states(of: $0) == [false] } }
                board.set("orders", count: 3)
                try await eventually("the change to active") { streams.allSatisfy { client.states(of: $0) == [false, true] } }
                // Another count of instances is no other state.
                board.set("orders", count: 4)
                board.set("orders", count: 0)
                try await eventually("the change back") { streams.allSatisfy { client.states(of: $0) == [false, true, false] } }
                #expect(board.readers(of: "orders") == 100)
                // Calls are answered beside them.
                #expect(try await client.call("IsActive", request).answer?.active == false)
            }
            try await eventually("the end of the streams of a client that died") { board.readers(of: "orders") == 0 }
        }
    }

    @Test func `the metric is told by a stream too`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                let stream = try client.open("StreamMetricSpec", request)
                try await eventually("the metric") { !client.events(of: stream).isEmpty }
                board.set("orders", count: 4)
                board.set("orders", ScalerState(desired: 4, isKnown: true, metric: "other"))
                try await eventually("the other metric") { client.events(of: stream).count == 2 }
                #expect(client.events(of: stream).map { $0.answer?.metrics?.first?.name } == ["desired-instances", "other"])
                #expect(client.events(of: stream).map { $0.answer?.metrics?.first?.real } == [1, 1])
            }
        }
    }

    @Test func `a stream that its client cancels ends here too`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                let (kept, given) = (try client.open("StreamIsActive", request), try client.open("StreamIsActive", request))
                try await eventually("both streams") { [kept, given].allSatisfy { client.states(of: $0) == [false] } }
                try client.cancel(given)
                #expect(try await client.end(of: given).code == "CANCELLED")
                try await eventually("the end of one") { board.readers(of: "orders") == 1 }
                board.set("orders", count: 1)
                try await eventually("the change on the other") { client.states(of: kept) == [false, true] }
                #expect(client.states(of: given) == [false])
            }
        }
    }

    @Test func `a stream of a policy that is taken away ends as one of a policy that is not there`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                let stream = try client.open("StreamIsActive", request)
                try await eventually("the stream") { client.states(of: stream) == [false] }
                board.set("orders", nil)
                #expect(try await client.end(of: stream).details == "no policy `orders`; there is none")
            }
        }
    }

    @Test func `shutdown ends streams as unavailable and is over then`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                let streams = try (0..<100).map { _ in try client.open("StreamIsActive", request) }
                try await eventually("the streams") { streams.allSatisfy { client.states(of: $0) == [false] } }
                server.shutdown.request()
                for stream in streams {
                    let event = try await client.end(of: stream)
                    #expect(event.code == "UNAVAILABLE")
                    #expect(event.details == "the server is ending: ask again soon")
                }
                await server.ended.wait()
                #expect(board.readers(of: "orders") == 0)
                #expect(try await client.call("IsActive", request).code == "UNAVAILABLE")
                // The port is free again.
                try await withServer(board, listen: server.address) { next in #expect(next.port == server.port) }
            }
        }
    }

    @Test func `a client that does not read keeps nobody from ending`() async throws {
        var limits = ScalerLimits()
        limits.drainTime = .milliseconds(200)
        try await withServer(board, limits: limits) { server in
            try await ForeignClient.with(server.address) { client in
                let stream = try client.open("StreamIsActive", request)
                try await eventually("the stream") { client.states(of: stream) == [false] }
                try await client.pause()
                for count in 0..<5000 {
                    board.set("orders", count: count % 2)
                    await Task.yield()
                }
                server.shutdown.request()
                await server.ended.wait()
            }
        }
    }

    @Test func `a client that gives no sign of life is cut`() async throws {
        var limits = ScalerLimits()
        (limits.keepalive, limits.keepaliveTime) = (.seconds(1), .seconds(5))
        try await withServer(board, limits: limits) { server in
            try await ForeignClient.with(server.address) { client in
                let stream = try client.open("StreamIsActive", request)
                try await eventually("the stream") { client.states(of: stream) == [false] }
                try await client.pause()
                try await eventually("the end of the stream") { board.readers(of: "orders") == 0 }
            }
        }
    }

    @Test func `cancelled, the server gives streams no time`() async throws {
        var limits = ScalerLimits()
        limits.drainTime = .seconds(3600)
        try await withServer(board, limits: limits) { server in
            try await ForeignClient.with(server.address) { client in
                let stream = try client.open("StreamIsActive", request)
                try await eventually("the stream") { client.states(of: stream) == [false] }
                try await client.pause()
                server.task.cancel()
                await server.ended.wait()
            }
        }
    }

    @Test func `streams above the bound are refused, calls are answered`() async throws {
        var limits = ScalerLimits()
        limits.streams = 2
        try await withServer(board, limits: limits) { server in
            try await ForeignClient.with(server.address) { client in
                let streams = try (0..<2).map { _ in try client.open("StreamIsActive", request) }
                try await eventually("two streams") { streams.allSatisfy { client.states(of: $0) == [false] } }
                #expect(try await client.end(of: client.open("StreamIsActive", request)).code == "RESOURCE_EXHAUSTED")
                #expect(try await client.call("IsActive", request).answer?.active == false)
                try client.cancel(streams[0])
                try await eventually("room for another stream") { board.readers(of: "orders") == 1 }
                try await eventually("another stream") {
                    let stream = try client.open("StreamIsActive", request)
                    try await eventually("an answer") { !client.events(of: stream).isEmpty }
                    return client.states(of: stream) == [false]
                }
            }
        }
    }

    @Test func `a call whose request never comes is ended`() async throws {
        var limits = ScalerLimits()
        limits.requestTime = .milliseconds(200)
        try await withServer(board, limits: limits) { server in
            try await ForeignClient.with(server.address) { client in
                for method in ["IsActive", "StreamIsActive"] {
                    let event = try await client.silentCall(method)
                    #expect(event.code == "DEADLINE_EXCEEDED")
                }
                // Those of a busy machine may be late too.
                try await eventually("a call whose request comes") {
                    let event = try await client.call("IsActive", request)
                    return event.code == "OK"
                }
            }
        }
    }

    @Test func `a connection on which nothing comes is cut`() async throws {
        var limits = ScalerLimits()
        limits.handshakeTime = .milliseconds(200)
        try await withServer(board, limits: limits) { server in
            try await ForeignClient.with(server.address) { client in
                let isClosed = try await client.isClosed(after: [])
                #expect(isClosed)
            }
        }
    }

    @Test func `bytes that are no HTTP 2 end their connection and nothing else`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                let stream = try client.open("StreamIsActive", request)
                try await eventually("the stream") { client.states(of: stream) == [false] }
                let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
                for bytes in [
                    Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03],
                    [UInt8](repeating: 0xFF, count: 4096), preface + [UInt8](repeating: 0xAA, count: 4096),
                    // A frame that says it is longer than frames may be.
                    preface + [0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01],
                ] {
                    let isClosed = try await client.isClosed(after: bytes)
                    #expect(isClosed)
                }
                board.set("orders", count: 1)
                try await eventually("the change") { client.states(of: stream) == [false, true] }
            }
        }
    }
}
