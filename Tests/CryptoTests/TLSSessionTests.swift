import Crypto
import CPosix
import Foundation
import TestSupport
import Testing

/// Against `openssl s_server`, which answers each line with its reverse.
@Suite(.timeLimit(.minutes(2))) struct TLSSessionTests {
    @Test func `a server with a certificate of a trusted authority is talked to`() async throws {
        try await withServer { certificates, port in
            let answer = try TLSTalk(port: port, host: "localhost", TLSOptions(authorityFile: certificates.path("ca.pem"))).say(
                "carillon\n")
            #expect(answer == "nollirac\n")
            let byAddress = try TLSTalk(port: port, host: "127.0.0.1", TLSOptions(authorityFile: certificates.path("ca.pem")))
            let long = String(repeating: "x", count: 12_000)
            let reversed = try byAddress.say(long + "y\n")
            #expect(reversed == "y" + long + "\n")
        }
    }

    @Test func `a certificate of another authority, or for another host, is refused with the reason`() async throws {
        try await withServer { certificates, port in
            #expect(
                refusal(port, "localhost", TLSOptions(authorityFile: certificates.path("stranger.pem")))?.contains("certificate") == true)
            #expect(
                refusal(port, "elsewhere.test", TLSOptions(authorityFile: certificates.path("ca.pem")))?.lowercased().contains("hostname")
                    == true)
            #expect(refusal(port, "127.0.0.2", TLSOptions(authorityFile: certificates.path("ca.pem")))?.contains("IP address") == true)
        }
    }

    @Test func `what is not to be verified is not`() async throws {
        try await withServer { certificates, port in
            let chainOnly = TLSOptions(authorityFile: certificates.path("ca.pem"), verifiesHost: false)
            try check(TLSTalk(port: port, host: "elsewhere.test", chainOnly).say("ab\n"))
            let stranger = TLSOptions(authorityFile: certificates.path("stranger.pem"), verifiesHost: false)
            #expect(refusal(port, "elsewhere.test", stranger) != nil)
            try check(TLSTalk(port: port, host: "elsewhere.test", TLSOptions(verifiesPeer: false)).say("ab\n"))
        }
    }

    @Test func `a server that asks for a certificate gets the client's own`() async throws {
        try await withServer(["-Verify", "1", "-verify_return_error", "-CAfile", "ca.pem"]) { certificates, port in
            let without = TLSOptions(authorityFile: certificates.path("ca.pem"))
            #expect(refusal(port, "localhost", without) != nil)
            let with = TLSOptions(
                authorityFile: certificates.path("ca.pem"), certificateFile: certificates.path("client.pem"),
                keyFile: certificates.path("client.key"))
            try check(TLSTalk(port: port, host: "localhost", with).say("ab\n"))
        }
    }

    @Test func `files that cannot be used are named`() async throws {
        try await TestCertificates.with { certificates in
            for options in [
                TLSOptions(authorityFile: "/nowhere/ca.pem"), TLSOptions(certificateFile: "/nowhere/me.pem"),
                TLSOptions(certificateFile: certificates.path("client.pem"), keyFile: certificates.path("server.key")),
            ] {
                do throws(TLSError) {
                    _ = try TLSSession(host: "localhost", options: options)
                    Issue.record("\(options) was taken")
                } catch {
                    #expect(error.description.contains(options.authorityFile ?? options.keyFile ?? options.certificateFile ?? "-"))
                }
            }
        }
    }

    @Test func `bytes that are no TLS end the session`() throws {
        let session = try TLSSession(host: "localhost", options: TLSOptions(verifiesPeer: false))
        try session.advance()
        var hello: [UInt8] = []
        session.takeOutput(into: &hello)
        #expect(hello.first == 22)  // a handshake record
        Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8).withUnsafeBytes { session.feed($0) }
        #expect(throws: TLSError.self) { try session.advance() }
        #expect(!session.isEstablished)
    }

    private func check(_ answer: String) throws { #expect(answer == "ba\n") }

    private func refusal(_ port: Int, _ host: String, _ options: TLSOptions) -> String? {
        do {
            _ = try TLSTalk(port: port, host: host, options).say("ab\n")
            return nil
        } catch {
            return "\(error)"
        }
    }

    private func withServer(_ arguments: [String] = [], _ body: (TestCertificates, Int) async throws -> Void) async throws {
        try await TestCertificates.with { certificates in
            let port = freePort()
            let process = SpawnedProcess()
            process.executableURL = URL(filePath: "/usr/bin/openssl")
            process.arguments =
                ["s_server", "-quiet", "-rev", "-accept", "127.0.0.1:\(port)", "-cert", "server.pem", "-key", "server.key"] + arguments
            process.currentDirectoryURL = certificates.folder
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            defer {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
            try await eventually(within: .seconds(20), "the server") {
                guard let socket = TLSTalk.connect(port) else { return false }
                close(socket)
                return true
            }
            try await body(certificates, port)
        }
    }
}

/// A session over a blocking socket with a time limit.
private struct TLSTalk {
    private struct Failed: Error {}
    private let socket: Int32
    private let session: TLSSession

    init(port: Int, host: String, _ options: TLSOptions) throws {
        session = try TLSSession(host: host, options: options)
        guard let socket = Self.connect(port) else { throw Failed() }
        self.socket = socket
    }

    static func connect(_ port: Int) -> Int32? {
        let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        if isConnected { return socket }
        close(socket)
        return nil
    }

    /// Sends one line and returns the one that comes back.
    func say(_ line: String) throws -> String {
        defer { close(socket) }
        session.write(Array(line.utf8))
        var answer: [UInt8] = []
        while answer.last != 10 {
            try session.advance()
            var wire: [UInt8] = []
            session.takeOutput(into: &wire)
            var sent = 0
            while sent < wire.count {
                let count = wire.withUnsafeBytes {
                    Foundation.send(socket, $0.baseAddress.map { $0 + sent }, $0.count - sent, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw Failed() }
                sent += count
            }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = recv(socket, &bytes, bytes.count, 0)
            guard count > 0 else { throw Failed() }
            bytes.withUnsafeBytes { session.feed(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            try session.advance()
            try session.read(into: &answer)
        }
        return String(decoding: answer, as: UTF8.self)
    }
}
