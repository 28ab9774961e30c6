import Foundation
import Lifecycle
import Roles
import Settings
import Telemetry

/// A broker for the benchmark alone, on loopback.
struct BenchmarkBroker {
    let uri: String
    let stop: () -> Void

    /// From `deploy/rabbitmq`.
    static func rabbitMQ() throws -> BenchmarkBroker {
        let script = URL(filePath: #filePath).appending(path: "../../../deploy/rabbitmq").standardized.path
        let folder = try temporaryFolder()
        func end() {
            _ = try? output(of: script, ["stop", folder])
            try? FileManager.default.removeItem(atPath: folder)
        }
        do {
            return BenchmarkBroker(uri: try output(of: script, ["start", folder]), stop: end)
        } catch {
            end()
            throw error
        }
    }

    /// Without persistence, so that the disk is not what is measured.
    static func redis() throws -> BenchmarkBroker {
        let port = try freePort()
        let server = Process()
        server.executableURL = URL(filePath: "/usr/bin/env")
        server.arguments = ["redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        server.standardOutput = FileHandle.nullDevice
        server.standardInput = FileHandle.nullDevice
        try server.run()
        func end() {
            server.terminate()
            server.waitUntilExit()
        }
        for _ in 0..<200 {
            if accepts(port) { return BenchmarkBroker(uri: "redis://127.0.0.1:\(port)/0", stop: end) }
            guard server.isRunning else { throw BenchmarkFailure("redis-server is not installed: apt-get install redis-server") }
            usleep(20_000)
        }
        end()
        throw BenchmarkFailure("redis-server does not accept connections on port \(port)")
    }

    // MARK: Another Carillon

    static let channelsRole = "--serve-channels"

    /// A whole server with the embedded broker in memory, as a process of its own.
    static func channels() throws -> BenchmarkBroker {
        let folder = try temporaryFolder()
        let process = try PinnedProcess([channelsRole, folder])
        func end() {
            process.end()
            try? FileManager.default.removeItem(atPath: folder)
        }
        guard let port = Int(process.firstLine()) else {
            end()
            throw BenchmarkFailure("the server of the event channels did not start")
        }
        return BenchmarkBroker(uri: "http://127.0.0.1:\(port)", stop: end)
    }

    /// The child: serves until its standard input ends.
    static func serveChannels(_ arguments: [String]) async {
        guard let folder = arguments.first else { return }
        var settings = CarillonSettings()
        settings.server.port = 0
        settings.data = folder + "/data"
        settings.binder = "local:"
        settings.security = .open
        settings.repositories = [.folder(path: folder, searchPaths: [])]
        let shutdown = ShutdownSignal()
        do {
            let role = try ServerPlan(settings).role(log: .silent)
            let life = ServiceLife(shutdown: shutdown) {
                print(role.port)
                fflush(nil)
            }
            async let ended: Void = role.run(life)
            await HTTPBenchmark.untilInputEnds()
            shutdown.request()
            try await ended
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
        }
    }

    // MARK: Parts

    static func temporaryFolder() throws -> String {
        let folder = NSTemporaryDirectory() + "/carillon-benchmark-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return folder
    }

    private static func output(of program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw BenchmarkFailure("\(program) \(arguments[0]) failed") }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func address(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let port =
            withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                    bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0
                }
            } ? Int(UInt16(bigEndian: address.sin_port)) : 0
        guard port > 0 else { throw BenchmarkFailure("no free port on loopback") }
        return port
    }

    private static func accepts(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = address(port)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
