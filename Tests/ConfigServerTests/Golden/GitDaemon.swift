import Foundation
import TestSupport
import Glibc

/// `git-daemon` over a folder of repositories, on a free port of the loopback interface.
final class GitDaemon: Sendable {
    let address: String
    private let process: SpawnedProcess

    init(serving root: URL) throws {
        let port = UInt16(freePort())
        address = "git://127.0.0.1:\(port)"
        let programs = String(decoding: try GoldenRepositories.git(root, ["--exec-path"]), as: UTF8.self).trimmingCharacters(in: .newlines)
        process = SpawnedProcess()
        process.executableURL = URL(fileURLWithPath: programs).appendingPathComponent("git-daemon")
        process.arguments = [
            "--port=\(port)", "--listen=127.0.0.1", "--base-path=\(root.path)", "--export-all", "--reuseaddr", root.path,
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        for _ in 0..<500 {
            if Self.answers(port) { return }
            usleep(10_000)
        }
    }

    deinit { end() }

    /// A process that is started from a task has all other signals blocked, as the threads of the pool have.
    func end() { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    private static func socketAddress(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    private static func with<R>(_ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>) -> R) -> R {
        withUnsafeMutablePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body) }
    }

    private static func answers(_ port: UInt16) -> Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = socketAddress(port)
        return with(&address) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } == 0
    }
}
