import ScalerRPC
import Testing

@Suite struct ScalerListenerTests {
    @Test(arguments: ["127.0.0.1:9500", "127.1.2.3:1", "localhost:0", "[::1]:9500"])
    func `loopback needs nothing else`(listen: String) throws {
        let listener = try ScalerListener(listen: listen)
        #expect(listener.tls == nil)
        #expect(!listener.host.contains("["))
    }

    @Test(arguments: ["0.0.0.0:9500", "[::]:9500", "10.0.0.1:9500", "carillon.example:9500", "127.0.0.1.example:9500"])
    func `an address beyond loopback is refused without the clients' authority`(listen: String) throws {
        let secret = ScalerListener.TLS(certificate: "a", key: "b")
        #expect(throws: ScalerServerError.open(listen)) { try ScalerListener(listen: listen) }
        #expect(throws: ScalerServerError.open(listen)) { try ScalerListener(listen: listen, tls: secret) }
        _ = try ScalerListener(listen: listen, tls: ScalerListener.TLS(certificate: "a", key: "b", clientCA: "c"))
        _ = try ScalerListener(listen: listen, isPlaintext: true)
        _ = try ScalerListener(listen: listen, tls: secret, isPlaintext: true)
        for word in [listen, "client-ca", "plaintext: true", "127.0.0.1"] {
            #expect(ScalerServerError.open(listen).description.contains(word))
        }
    }

    @Test(arguments: [
        "", "9500", ":9500", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:-1", "::1:9500", "[]:9500", "localhost:http",
    ])
    func `what is no address is refused with an example`(listen: String) {
        #expect(throws: ScalerServerError.notAnAddress(listen)) { try ScalerListener(listen: listen) }
    }
}
