import Crypto
import Streams
import Testing

@testable import RedisBinder

@Suite struct RedisConfigurationTests {
    @Test func `an empty URI is the server of this machine`() throws {
        let configuration = try RedisConfiguration(uri: "redis://")
        #expect(configuration.addresses == [.init(host: "localhost", port: 6379)])
        #expect(configuration.user == nil)
        #expect(configuration.password == nil)
        #expect(configuration.database == 0)
        #expect(configuration.tls == nil)
    }

    @Test func `a URI names user, password, hosts, database and options`() throws {
        let configuration = try RedisConfiguration(
            uri: "redis://me:p%40ss%3A@one:7000,[::1]:7001,two/5?prefix=shop:&name=orders&lease=30&retention=60&keep=10&replicas=1")
        #expect(configuration.user == "me")
        #expect(configuration.password == "p@ss:")
        #expect(
            configuration.addresses == [.init(host: "one", port: 7000), .init(host: "::1", port: 7001), .init(host: "two", port: 6379)])
        #expect(configuration.database == 5)
        #expect(configuration.prefix == "shop:")
        #expect(configuration.clientName == "orders")
        #expect(configuration.lease == .seconds(30))
        #expect(configuration.retention == .seconds(60))
        #expect(configuration.kept == 10)
        #expect(configuration.replicas == 1)
    }

    @Test func `a password without a user is that of the default user`() throws {
        let configuration = try RedisConfiguration(uri: "redis://:secret@host")
        #expect(configuration.user == nil)
        #expect(configuration.password == "secret")
    }

    @Test func `rediss asks for TLS with its files`() throws {
        let configuration = try RedisConfiguration(uri: "rediss://host/0?ca-file=/ca.pem&cert-file=/me.pem&key-file=/me.key&verify=chain")
        #expect(
            configuration.tls
                == TLSOptions(
                    authorityFile: "/ca.pem", certificateFile: "/me.pem", keyFile: "/me.key", verifiesPeer: true, verifiesHost: false))
        #expect(try RedisConfiguration(uri: "rediss://host").tls == TLSOptions())
    }

    @Test(arguments: [
        "amqp://host", "redis://host:0", "redis://host:port", "redis://host/zero", "redis://host/-1", "redis://user@host",
        "redis://%zz@host",
        "redis://host?bogus=1", "redis://host?lease=0", "redis://host?lease=soon", "redis://host?ca-file=/x", "rediss://host?verify=maybe",
        "redis://host?prefix={x}", "redis://%FF:x@host",
    ])
    func `a URI that cannot be used is refused`(uri: String) {
        let error = #expect(throws: BinderError.self) { try RedisConfiguration(uri: uri) }
        #expect(error?.code == .invalid)
    }

    @Test func `all keys of a destination, and no keys of two, share a hash tag`() throws {
        let plain = RedisKeys(try Destination("orders"), partition: nil, group: try ConsumerGroup("workers"), prefix: "carillon:")
        #expect(plain.stream == "carillon:{orders}")
        #expect(plain.retry == "carillon:{orders}:retry:workers")
        #expect(plain.dead == "carillon:{orders}:dead:workers")
        #expect(RedisKeys(try Destination("orders"), partition: 3, group: nil, prefix: "carillon:").stream == "carillon:{orders/3}")
        #expect(RedisKeys(try Destination("a}b{c%d"), partition: nil, group: nil, prefix: "").stream == "{a%7Db%7Bc%25d}")
    }
}
