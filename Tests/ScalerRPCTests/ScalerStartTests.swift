import Glibc
import Lifecycle
import ScalerRPC
import TestSupport
import Testing

/// Starting: ports, addresses, TLS.
@Suite(.timeLimit(.minutes(5)))
struct ScalerStartTests {
    private let board = ScalerBoard(counts: ["orders": 5])
    private let request = ForeignClient.Request(name: "orders")

    private func start(_ listen: String, tls: ScalerListener.TLS? = nil, isPlaintext: Bool = false) async throws {
        let server = ScalerServer(try ScalerListener(listen: listen, tls: tls, isPlaintext: isPlaintext), view: board)
        try await server.run(ServiceLife())
    }

    @Test(arguments: ["127.0.0.1", "localhost", "0.0.0.0"])
    func `a port that is taken is an error that names it`(host: String) async throws {
        try await withServer(board) { server in
            let failure = await #expect(throws: ScalerServerError.self) {
                try await start("\(host):\(server.port)", isPlaintext: true)
            }
            #expect(failure == .portTaken("\(host == "localhost" ? "127.0.0.1" : host):\(server.port)"))
            #expect(failure?.description.contains("scaling.keda.listen") == true)
        }
    }

    @Test func `an address of another host is an error that names it`() async throws {
        await #expect(throws: ScalerServerError.addressUnknown("192.0.2.1", reason: "this host does not have it")) {
            try await start("192.0.2.1:0", isPlaintext: true)
        }
        let failure = await #expect(throws: ScalerServerError.self) { try await start("nowhere.invalid:1", isPlaintext: true) }
        #expect(failure?.description.contains("nowhere.invalid") == true)
    }

    @Test func `files that are no certificates are an error that names them`() async throws {
        try await TestCertificates.with { files in
            for (tls, name) in [
                (ScalerListener.TLS(certificate: "/nowhere.pem", key: files.path("server.key")), "/nowhere.pem"),
                (ScalerListener.TLS(certificate: files.path("server.pem"), key: files.path("client.key")), files.path("client.key")),
                (ScalerListener.TLS(certificate: files.path("server.key"), key: files.path("server.key")), files.path("server.key")),
                (
                    ScalerListener.TLS(
                        certificate: files.path("server.pem"), key: files.path("server.key"), clientCA: files.path("names")),
                    files.path("names")
                ),
            ] {
                let failure = await #expect(throws: ScalerServerError.self) { try await start("127.0.0.1:0", tls: tls) }
                #expect(failure?.description.contains(name) == true)
                #expect(failure?.description.contains("scaling.keda.tls") == true)
            }
        }
    }

    @Test(.enabled(if: ForeignClient.isInstalled, ForeignClient.whyNot))
    func `with client-ca only those are heard who show a certificate of it`() async throws {
        try await TestCertificates.with { files in
            let tls = ScalerListener.TLS(
                certificate: files.path("server.pem"), key: files.path("server.key"), clientCA: files.path("ca.pem"))
            try await withServer(board, tls: tls, listen: "localhost:0") { server in
                let address = "localhost:\(server.port)"
                let authority = files.path("ca.pem")
                try await ForeignClient.with(address, [authority, files.path("client.pem"), files.path("client.key")]) { client in
                    let event = try await client.call("GetMetrics", request)
                    #expect(event.answer?.metrics?.map(\.whole) == [5])
                    let stream = try client.open("StreamIsActive", request)
                    try await eventually("the stream") { client.states(of: stream) == [true] }
                }
                try await ForeignClient.with(address, [authority]) { client in
                    let event = try await client.call("IsActive", request)
                    #expect(event.code == "UNAVAILABLE")
                }
                // One that another authority has signed: its own.
                try await ForeignClient.with(address, [authority, files.path("stranger.pem"), files.path("stranger.key")]) { client in
                    let event = try await client.call("IsActive", request)
                    #expect(event.code == "UNAVAILABLE")
                }
                try await ForeignClient.with(address) { client in
                    let event = try await client.call("IsActive", request)
                    #expect(event.code == "UNAVAILABLE")
                }
            }
        }
    }

    @Test(.enabled(if: ForeignClient.isInstalled, ForeignClient.whyNot))
    func `without client-ca clients show no certificate`() async throws {
        try await TestCertificates.with { files in
            let tls = ScalerListener.TLS(certificate: files.path("server.pem"), key: files.path("server.key"))
            try await withServer(board, tls: tls) { server in
                try await ForeignClient.with("localhost:\(server.port)", [files.path("ca.pem")]) { client in
                    let event = try await client.call("IsActive", request)
                    #expect(event.answer?.active == true)
                }
            }
        }
    }

    @Test(.enabled(if: ForeignClient.isInstalled, ForeignClient.whyNot))
    func `IPv6 is listened on`() async throws {
        let server = ScalerServer(try ScalerListener(listen: "[::1]:0"), view: board)
        let (shutdown, started) = (ShutdownSignal(), ShutdownSignal())
        async let run: Void = server.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() }))
        await started.wait()
        try await ForeignClient.with("[::1]:\(server.port)") { client in
            let event = try await client.call("IsActive", request)
            #expect(event.answer?.active == true)
        }
        shutdown.request()
        try await run
    }

    @Test func `a server can be started and ended again and again`() async throws {
        for _ in 0..<20 {
            try await withServer(board) { server in #expect(server.port > 0) }
        }
    }
}
