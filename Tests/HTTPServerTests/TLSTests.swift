import FoundationEssentials
import Glibc
import HTTP
import HTTPServer
import TestSupport
import Testing
import ThreadExecutor

/// An authority, a server certificate and client certificates, made with the `openssl` command in a folder that is removed again.
struct Certificates: Sendable {
    let folder: String

    static func with<R>(_ body: (Certificates) async throws -> R) async throws -> R {
        try await withTemporaryFolder { folder in
            let certificates = Certificates(folder: folder)
            try await certificates.make()
            return try await body(certificates)
        }
    }

    private func make() async throws {
        let script = """
            set -e
            authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.pem -subj "/CN=$1" -days 2; }
            signed() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj "$2"
              openssl x509 -req -in $1.csr -CA $3.pem -CAkey $3.key -CAcreateserial -out $1.pem -days ${4:-2} -extfile ext; }
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' > ext
            authority ca; authority stranger
            signed server /CN=localhost ca
            signed client "/O=Carillon/CN=builder" ca
            signed intruder /CN=builder stranger
            """
        let result = try await run(script)
        guard result.status == 0 else { throw Failed(text: result.error) }
    }

    struct Failed: Error { let text: String }

    func text(_ name: String) throws -> String { try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8) }

    func tls(clientCA: Bool, demand: HTTPServerTLS.ClientCertificates = .required) throws -> HTTPServerTLS {
        HTTPServerTLS(
            certificate: try text("server.pem"), key: try text("server.key"), clientCA: clientCA ? try text("ca.pem") : nil,
            clientCertificates: demand)
    }

    /// `openssl s_client` sends `request` and prints what comes.
    func exchange(_ port: Int, _ request: String, _ options: String...) async throws -> (status: Int32, output: String, error: String) {
        try await run(
            "printf '\(request.replacing("\r\n", with: "\\r\\n"))' | timeout 10 openssl s_client -quiet -verify_return_error -CAfile ca.pem -connect 127.0.0.1:\(port) \(options.joined(separator: " "))"
        )
    }

    /// Not by Foundation's `Process`: its search for open descriptors reads behind its buffer, which ends a run under AddressSanitizer.
    private func run(_ script: String) async throws -> (status: Int32, output: String, error: String) {
        let thread = ThreadExecutor(name: "openssl")
        defer { thread.stop() }
        return try await thread.run { [folder] in
            let errors = "\(folder)/errors-\(UInt64.random(in: 0...UInt64.max))"
            guard let output = popen("cd \(folder) && { \(script)\n} 2>\(errors)", "r") else { throw Failed(text: "no shell") }
            var bytes: [UInt8] = []
            var room = [UInt8](repeating: 0, count: 4096)
            while case let count = fread(&room, 1, room.count, output), count > 0 { bytes += room[..<count] }
            let status = pclose(output)
            return (status, String(decoding: bytes, as: UTF8.self), (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "")
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct TLSTests {
    private static var router: Router {
        var router = HTTPServerTests.router
        router.add("GET", "/who") { request, _ in HTTPResponse(text: "\(request.clientCertificate ?? "nobody") \(request.isSecure)\n") }
        return router
    }
    private static let who = get("/who", "Connection: close")
    private static let cached = get("/cached", "Connection: close")

    @Test(arguments: ["-tls1_2", "-tls1_3"]) func `a request over TLS is answered`(_ version: String) async throws {
        try await Certificates.with { certificates in
            try await withServer(Self.router, tls: try certificates.tls(clientCA: false)) { server in
                let answer = try await certificates.exchange(server.port, Self.who, version)
                #expect(answer.output.hasSuffix("nobody true\n"), "\(answer)")
                #expect(try await certificates.exchange(server.port, Self.cached, version).output.hasSuffix("from the cache\n"))
            }
        }
    }

    @Test func `TLS 1.1 is refused`() async throws {
        try await Certificates.with { certificates in
            try await withServer(Self.router, tls: try certificates.tls(clientCA: false)) { server in
                let answer = try await certificates.exchange(server.port, Self.who, "-tls1_1 -cipher DEFAULT@SECLEVEL=0")
                #expect(!answer.output.contains("HTTP/1.1 200"))
                #expect(answer.status != 0)
            }
        }
    }

    @Test func `a client certificate is verified and its subject told`() async throws {
        try await Certificates.with { certificates in
            try await withServer(Self.router, tls: try certificates.tls(clientCA: true)) { server in
                let known = try await certificates.exchange(server.port, Self.who, "-cert client.pem -key client.key")
                #expect(known.output.hasSuffix("CN=builder,O=Carillon true\n"), "\(known)")
                for request in [Self.who, Self.cached] {
                    let stranger = try await certificates.exchange(server.port, request, "-cert intruder.pem -key intruder.key")
                    #expect(stranger.output.hasPrefix("HTTP/1.1 403"), "\(stranger)")
                    let nobody = try await certificates.exchange(server.port, request)
                    #expect(nobody.output.hasPrefix("HTTP/1.1 403"), "also what a cache has at hand: \(nobody)")
                }
            }
        }
    }

    @Test func `where a certificate is only asked for, none is served and a wrong one is not`() async throws {
        try await Certificates.with { certificates in
            try await withServer(Self.router, tls: try certificates.tls(clientCA: true, demand: .asked)) { server in
                #expect(try await certificates.exchange(server.port, Self.who).output.hasSuffix("nobody true\n"))
                let stranger = try await certificates.exchange(server.port, Self.who, "-cert intruder.pem -key intruder.key")
                #expect(stranger.output.hasPrefix("HTTP/1.1 403"), "\(stranger)")
            }
        }
    }

    @Test func `a client that does not shake hands is cut`() async throws {
        var limits = HTTPServerLimits()
        limits.headerTime = .milliseconds(500)
        try await Certificates.with { certificates in
            try await withServer(Self.router, limits: limits, tls: try certificates.tls(clientCA: false)) { server in
                #expect(try await server.client().isClosed())
                let plain = try server.client()
                try await plain.send(Self.who)
                #expect(!(try await plain.untilEnd().contains("200")))
                let answer = try await certificates.exchange(server.port, Self.who)
                #expect(answer.output.hasSuffix("nobody true\n"))
            }
        }
    }

    @Test func `a certificate that cannot be used stops the start with its reason`() async throws {
        try await Certificates.with { certificates in
            let good = try certificates.tls(clientCA: true)
            let bad = [
                HTTPServerTLS(certificate: "nonsense", key: good.key), HTTPServerTLS(certificate: good.certificate, key: "nonsense"),
                HTTPServerTLS(certificate: good.certificate, key: try certificates.text("client.key")),
                HTTPServerTLS(certificate: good.certificate, key: good.key, clientCA: "nonsense"),
            ]
            for tls in bad {
                let error = await #expect(throws: HTTPServerError.self) { try await withServer(Self.router, tls: tls) { _ in } }
                #expect(error?.description.contains("server.tls.") == true)
            }
        }
    }
}
