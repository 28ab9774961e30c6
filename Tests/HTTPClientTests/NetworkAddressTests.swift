import HTTP
import HTTPClient
import TestSupport
import Testing

@Suite struct NetworkAddressTests {
    @Test(arguments: [
        ("8.8.8.8", true), ("127.0.0.1", false), ("10.0.0.1", false), ("172.15.0.1", true), ("172.16.0.1", false), ("172.32.0.1", true),
        ("192.168.1.1", false), ("169.254.169.254", false), ("100.64.0.1", false), ("100.128.0.1", true), ("0.0.0.0", false),
        ("224.0.0.1", false), ("255.255.255.255", false), ("198.51.100.1", false), ("203.0.113.9", false), ("192.0.2.1", false),
        ("2001:4860:4860::8888", true), ("::1", false), ("::", false), ("fe80::1", false), ("fd00::1", false), ("ff02::1", false),
        ("::ffff:10.0.0.1", false), ("::ffff:8.8.8.8", true), ("64:ff9b::127.0.0.1", false), ("64:ff9b::8.8.8.8", true),
        ("2002:7f00:1::", false), ("2001:db8::1", false), ("[::1]", false),
    ])
    func `an address is public or not`(_ text: String, _ isPublic: Bool) throws {
        #expect(try #require(NetworkAddress(text)).isPublic == isPublic)
    }

    @Test(arguments: ["localhost", "", "1.2.3", "1.2.3.4.5", "::g", "[127.0.0.1"]) func `a name is no address`(_ text: String) {
        #expect(NetworkAddress(text) == nil)
    }

    @Test func `a client of public addresses asks no other, whatever name leads there`() async throws {
        var router = Router()
        router.add("GET", "/") { _, _ in HTTPResponse(200) }
        try await TestHTTPServer.with(router) { server in
            let client = HTTPClient(HTTPClientConfiguration(publicAddressesOnly: true))
            for host in ["127.0.0.1", "localhost"] {
                await #expect { _ = try await client.send(HTTPClientRequest("GET", "http://\(host):\(server.port)/")) } throws: { error in
                    guard let error = error as? HTTPClientError else { return false }
                    return error.code == .refused && error.message.contains("private network")
                }
            }
            let response = try await HTTPClient().send(HTTPClientRequest("GET", server.url + "/"))
            #expect(response.status == 200)
        }
    }
}
