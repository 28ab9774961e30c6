import Lifecycle
import LocalBinder
import Binders
import Settings
import Streams
import Telemetry
import Testing

@Suite struct BinderURITests {
    @Test(arguments: [
        ("local:", "local binder"), ("amqp://guest:guest@127.0.0.1:5672/", "rabbitmq"), ("redis://127.0.0.1:6379/0", "redis"),
        ("rediss://user:password@cache:6380/3?ca-file=/etc/ca.pem&lease=30", "redis"),
        ("kafka://127.0.0.1:9092,127.0.0.2", "kafka"), ("kafkas://user:secret@[::1]:9093?sasl=scram-sha-512&verify=false", "kafka"),
    ])
    func `a URI names its binder`(uri: String, name: String) throws {
        #expect(try BinderURI(uri).binder(log: .silent).name == name)
    }

    @Test(arguments: [
        ("amqp://user:p@ss@Host:5672/vhost", "amqp-host-5672"), ("kafka://a.b:9092,c:9092?x=y", "kafka-a.b-9092"),
        ("redis://h/0", "redis-h"),
        ("http://[::1]:8888/", "http----1--8888"), ("local:", nil), ("local:/a/b", nil),
    ])
    func `a broker has a name that lasts, without credentials`(uri: String, place: String?) throws {
        #expect(try BinderURI(uri).place == place)
    }

    @Test(arguments: ["", "ftp://host", "host:5672"])
    func `another scheme is refused with those that can be used`(uri: String) {
        let error = #expect(throws: SettingsError.self) { try BinderURI(uri) }
        #expect(error?.message.contains("amqp://") == true)
    }

    @Test(arguments: [
        "amqp://guest:s3cret@:99999/", "amqp://guest:s3cret@host:port/", "redis://:s3cret@host:99999/0", "redis://u:s3cret@host/zero",
        "redis://u:s3cret@host/0?bogus=1",
        "kafka://u:s3cret@host:0", "kafka://u:s3cret@host?sasl=KERBEROS",
    ])
    func `a URI that cannot be connected to is refused without its password`(uri: String) {
        do {
            _ = try BinderURI(uri).binder(log: .silent)
            Issue.record("\(uri) was accepted")
        } catch {
            #expect(!"\(error)".contains("s3cret"))
        }
    }
}
