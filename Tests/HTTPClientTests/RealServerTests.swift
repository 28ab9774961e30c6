import FoundationEssentials
import Glibc
import HTTP
import HTTPClient
import HTTPServer
import Locking
import TestSupport
import Testing
import ThreadExecutor

@Suite(.timeLimit(.minutes(2)))
struct RealServerTests {
    @Test func `a thousand requests at once to a real server are all answered`() async throws {
        var router = Router()
        router.add("POST", "/{name}") { request, values in HTTPResponse(bytes: request.body, type: "text/\(values["name"] ?? "")") }
        try await TestHTTPServer.with(router) { server in
            let client = HTTPClient(HTTPClientConfiguration(totalLimit: .seconds(100), idleLimit: .seconds(100)))
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<1000 {
                    group.addTask {
                        let body = [UInt8](repeating: UInt8(number & 0xFF), count: 10_000)
                        let response = try await client.send(HTTPClientRequest("POST", server.url + "/\(number)", body: body))
                        return response.body == body && response.headers["Content-Type"] == "text/\(number)"
                    }
                }
                var count = 0
                for try await isRight in group where isRight { count += 1 }
                #expect(count == 1000)
            }
        }
    }

    @Test func `a connection can lead elsewhere than its URL, which the server still sees`() async throws {
        var router = Router()
        router.add("GET", "/x") { request, _ in HTTPResponse(200, text: request.headers["Host"] ?? "") }
        try await TestHTTPServer.with(router) { server in
            var configuration = HTTPClientConfiguration()
            configuration.connectTo = "127.0.0.1:\(server.port)"
            let response = try await HTTPClient(configuration).send(HTTPClientRequest("GET", "http://nowhere.invalid:1234/x"))
            #expect(response.text == "nowhere.invalid:1234")
        }
        #expect(HTTPClientRequest.address(of: "https://user:pw@Host.example/x")?.port == 443)
        #expect(HTTPClientRequest.address(of: "http://[::1]:81/")?.host == "::1")
    }

    @Test func `a connection can lead to a socket of the file system`() async throws {
        try await withTemporaryFolder { folder in
            let server = RawServer(path: folder + "/socket") { head, body, connection in
                connection.write((head.split(separator: "\r\n").first { $0.hasPrefix("Host") } ?? "").description.answer())
            }
            defer { server.stop() }
            let client = HTTPClient(HTTPClientConfiguration(unixSocket: folder + "/socket"))
            #expect(try await client.send(HTTPClientRequest("GET", "http://docker/x")).text == "Host: docker")
            var seen: [UInt8] = []
            try await client.withStream(HTTPClientRequest("GET", "http://docker/x")) { _, body in seen = try await body.collect(upTo: 99) }
            #expect(String(decoding: seen, as: UTF8.self) == "Host: docker")
            #expect(server.connections == 1)
            let nobody = HTTPClient(HTTPClientConfiguration(unixSocket: folder + "/other"))
            let error = await #expect(throws: HTTPClientError.self) { try await nobody.send(HTTPClientRequest("GET", "http://docker/x")) }
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains(folder + "/other") == true)
        }
    }

    @Test func `a server notices that a reader of events has left`() async throws {
        let seen = Seen()
        var router = Router()
        router.add("GET", "/events") { _, _ in
            HTTPResponse(
                200, headers: ["Content-Type": "text/event-stream"],
                body: .stream { writer in
                    do {
                        while true {
                            seen.count()
                            try await writer.write(ServerSentEvent(id: "\(seen.total)", data: "x").bytes)
                            try await Task.sleep(for: .milliseconds(20))
                        }
                    } catch {
                        seen.leave()
                        throw error
                    }
                })
        }
        try await TestHTTPServer.with(router) { server in
            let events = try await HTTPClient().withStream(HTTPClientRequest("GET", server.url + "/events")) { head, body in
                #expect(head.headers["Content-Type"] == "text/event-stream")
                return [try await body.nextEvent()?.id, try await body.nextEvent()?.id]
            }
            #expect(events == ["1", "2"])
            try await eventually { seen.hasLeft }
        }
    }

    final class Seen: Sendable {
        private let state = Locked<(sent: Int, left: Bool)>((0, false))
        func count() { state.withLock { $0.sent += 1 } }
        func leave() { state.withLock { $0.left = true } }
        var total: Int { state.withLock { $0.sent } }
        var hasLeft: Bool { state.withLock { $0.left } }
    }

    @Test func `TLS is trusted by authority and name, and shows the client's certificate`() async throws {
        try await withTemporaryFolder { folder in
            try await Self.makeCertificates(in: folder)
            func text(_ name: String) throws -> String { try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8) }
            var router = Router()
            router.add("GET", "/") { request, _ in HTTPResponse(text: request.clientCertificate ?? "nobody") }
            let tls = HTTPServerTLS(
                certificate: try text("server.pem"), key: try text("server.key"), clientCA: try text("ca.pem"), clientCertificates: .asked)
            try await TestHTTPServer.with(router, tls: tls) { server in
                let good = HTTPClientConfiguration.TLS(authorityFile: folder + "/ca.pem")
                var withCertificate = good
                withCertificate.certificateFile = folder + "/client.pem"
                withCertificate.keyFile = folder + "/client.key"
                let url = "https://127.0.0.1:\(server.port)/"
                #expect(try await HTTPClient(HTTPClientConfiguration(tls: good)).send(HTTPClientRequest("GET", url)).text == "nobody")
                let named = try await HTTPClient(HTTPClientConfiguration(tls: withCertificate)).send(HTTPClientRequest("GET", url))
                #expect(named.text.contains("builder"))
                var asText = HTTPClientConfiguration.TLS(authorityFile: folder + "/none.pem")
                asText.authorityText = Array(try text("ca.pem").utf8)
                asText.certificateText = Array(try text("client.pem").utf8)
                asText.keyText = Array(try text("client.key").utf8)
                let told = try await HTTPClient(HTTPClientConfiguration(tls: asText)).send(HTTPClientRequest("GET", url))
                #expect(told.text.contains("builder"))
                let bad: [(HTTPClientConfiguration.TLS, String)] = [
                    (HTTPClientConfiguration.TLS(), url), (HTTPClientConfiguration.TLS(authorityFile: folder + "/stranger.pem"), url),
                    (good, "https://localhost:\(server.port)/"), (HTTPClientConfiguration.TLS(authorityFile: folder + "/none.pem"), url),
                    (HTTPClientConfiguration.TLS(authorityFile: folder + "/ca.pem", certificateFile: folder + "/none.pem"), url),
                ]
                for (tls, url) in bad {
                    let error = await #expect(throws: HTTPClientError.self) {
                        _ = try await HTTPClient(HTTPClientConfiguration(tls: tls)).send(HTTPClientRequest("GET", url))
                    }
                    #expect(error?.code == .tls, "\(error?.description ?? "")")
                }
                let blind = HTTPClientConfiguration.TLS(verifiesPeer: false)
                #expect(try await HTTPClient(HTTPClientConfiguration(tls: blind)).send(HTTPClientRequest("GET", url)).status == 200)
            }
        }
    }

    /// An authority, a stranger, a server for 127.0.0.1 only and a client, made with the `openssl` command.
    private static func makeCertificates(in folder: String) async throws {
        let script = """
            set -e; cd \(folder)
            authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.pem -subj "/CN=$1" -days 2; }
            signed() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj "/CN=$2"
              openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $1.pem -days 2 -extfile ext; }
            printf 'subjectAltName=IP:127.0.0.1\\n' >ext
            authority ca; authority stranger; signed server server; signed client builder
            """
        let thread = ThreadExecutor(name: "openssl")
        defer { thread.stop() }
        // Not by Foundation's `Process`: its search for open descriptors ends a run under AddressSanitizer.
        let status = try await thread.run { () throws -> Int32 in
            guard let output = popen("{ \(script)\n} >\(folder)/output 2>&1", "r") else { return -1 }
            return pclose(output)
        }
        #expect(status == 0)
    }
}
