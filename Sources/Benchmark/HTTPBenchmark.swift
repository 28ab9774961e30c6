import CBenchmark
import Foundation
import HTTP
import HTTPServer
import Lifecycle
import Telemetry

/// A cached answer of 4 KiB from our server beside the same bytes from a bare libmicrohttpd in C: each in a process of its own on the first core,
/// the load from `wrk` on the second.
struct HTTPBenchmark: Comparison {
    let name = "http"
    let summary = "a cached answer of 4 KiB beside a bare libmicrohttpd in C, and one that a task makes"

    static let serverRole = "--serve-http"
    static let body = Array(String(repeating: #"{"name":"application.yml","source":{"a":1}}"#, count: 98).utf8.prefix(4096))

    func run(_ settings: BenchmarkSettings) async throws -> [Measure] {
        guard ProcessInfo.processInfo.processorCount >= 2 else {
            throw BenchmarkFailure("two cores are needed: one for the server, one for wrk")
        }
        let bare = try Server("bare")
        defer { bare.process.end() }
        let ours = try Server("ours")
        defer { ours.process.end() }
        for server in [bare, ours] { _ = try server.round("/orders/prod/main", seconds: 1) }
        var cached: [Round] = []
        var raw: [Round] = []
        var made: [Round] = []
        for _ in 0..<settings.rounds {
            raw.append(try bare.round("/orders/prod/main", seconds: settings.seconds))
            cached.append(try ours.round("/orders/prod/main", seconds: settings.seconds))
            made.append(try ours.round("/made", seconds: settings.seconds))
        }
        return [
            Measure(
                what: "cached answer, 64 connections", unit: "requests/s", ours: cached.map(\.load.requestsPerSecond),
                raw: raw.map(\.load.requestsPerSecond), aim: 0.9),
            Measure(
                what: "cached answer, processor time", unit: "µs", ours: cached.map(\.microseconds), raw: raw.map(\.microseconds),
                higherIsBetter: false,
                aim: 0.9),
            Measure(
                what: "cached answer, median latency", unit: "ms", ours: cached.map(\.load.medianMilliseconds),
                raw: raw.map(\.load.medianMilliseconds),
                higherIsBetter: false),
            Measure(
                what: "cached answer, 99 % latency", unit: "ms", ours: cached.map(\.load.p99Milliseconds),
                raw: raw.map(\.load.p99Milliseconds),
                higherIsBetter: false),
            Measure(what: "answer made by a task", unit: "requests/s", ours: made.map(\.load.requestsPerSecond)),
            Measure(what: "answer made by a task, processor time", unit: "µs", ours: made.map(\.microseconds), higherIsBetter: false),
            Measure(what: "resident memory at the end", unit: "MB", ours: [ours.process.residentMemory], higherIsBetter: false),
        ]
    }

    private struct Round {
        let load: LoadGenerator.Result
        /// Processor time of the server for each request.
        let microseconds: Double
    }

    private struct Server {
        let process: PinnedProcess
        let port: Int

        init(_ which: String) throws {
            process = try PinnedProcess([HTTPBenchmark.serverRole, which])
            guard let port = Int(process.firstLine()) else { throw BenchmarkFailure("the \(which) server did not start") }
            self.port = port
        }

        func round(_ path: String, seconds: Int) throws -> Round {
            let before = process.processorTime
            let load = try LoadGenerator.run("http://127.0.0.1:\(port)\(path)", seconds: seconds)
            return Round(load: load, microseconds: (process.processorTime - before) / load.requests * 1e6)
        }
    }

    /// The child: serves until its standard input ends.
    static func serve(_ arguments: [String]) async {
        guard carillon_pin_to_core(0) == 0 else { return }
        switch arguments.first {
        case "bare":
            let bytes = arguments.count > 1 ? Array(arguments[1].utf8) : Array(body)
            let port = bytes.withUnsafeBytes { carillon_bare_http_server($0.baseAddress, $0.count) }
            print(port)
            fflush(nil)
            await untilInputEnds()
        case "ours":
            let server = HTTPServer(
                configuration: HTTPServerConfiguration(port: 0, threads: 1, drainTime: .seconds(1)), handler: router, metrics: Metrics())
            let shutdown = ShutdownSignal()
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    await untilInputEnds()
                    shutdown.request()
                }
                group.addTask {
                    let life = ServiceLife(
                        shutdown: shutdown,
                        onStarted: {
                            print(server.port)
                            fflush(nil)
                        })
                    do { try await server.run(life) } catch { FileHandle.standardError.write(Data("\(error)\n".utf8)) }
                }
                await group.waitForAll()
            }
        default: return
        }
    }

    private static var router: Router {
        var router = Router()
        let answer = CachedResponse(HTTPResponse(bytes: Array(body), type: "application/json", headers: ["ETag": "\"0123456789abcdef\""]))
        let target = Array("/orders/prod/main".utf8)
        router.add(cache: { head in
            // As a cache of environments does: the target, and whether the client has the answer already.
            guard head.target.elementsEqual(target), !head.has("If-None-Match") else { return nil }
            return answer
        })
        let made = HTTPResponse(bytes: Array(body), type: "application/json")
        router.add("GET", "/made") { _, _ in made }
        return router
    }

    static func untilInputEnds() async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { @Sendable in
                while let data = try? FileHandle.standardInput.read(upToCount: 1), !data.isEmpty {}
                continuation.resume()
            }
        }
    }
}
