import Streams
import TestSupport
import Testing

@testable import RabbitMQBinder

@Suite struct RabbitMQConfigurationTests {
    @Test func `a URI names user, password, addresses, virtual host and options`() throws {
        let full = try RabbitMQConfiguration(
            uri:
                "amqps://us%40er:p%3Aa%2Fss@one:5000,[::1]:5001,two/v%2Fh?heartbeat=7&prefix=pre-&name=n&mandatory=true&cacertfile=/ca.pem&verify=verify_none"
        )
        #expect(full.user == "us@er")
        #expect(full.password == "p:a/ss")
        #expect(full.addresses == [.init(host: "one", port: 5000), .init(host: "::1", port: 5001), .init(host: "two", port: 5671)])
        #expect(full.virtualHost == "v/h")
        #expect(full.heartbeat == .seconds(7))
        #expect(full.prefix == "pre-" && full.connectionName == "n" && full.mandatory)
        #expect(full.tls == .init(authorities: "/ca.pem", verifiesPeer: false, verifiesHost: false))
        let bare = try RabbitMQConfiguration(uri: "amqp://")
        #expect(bare.addresses == [.init(host: "localhost", port: 5672)])
        #expect(bare.user == "guest" && bare.virtualHost == "/" && bare.tls == nil)
        #expect(try RabbitMQConfiguration(uri: "amqp://h/").virtualHost == "/")
    }

    @Test func `a URI says how the queues of groups are declared`() throws {
        let limits = try RabbitMQConfiguration(
            uri:
                "amqp://h/?message-ttl=60000&expires=5000&max-length=10&max-length-bytes=1000&overflow=reject-publish&single-active-consumer=true&queue-type=quorum&delivery-limit=4"
        ).queueDefaults.limits
        let arguments = Dictionary(uniqueKeysWithValues: limits.arguments.map { ($0.name, $0.value) })
        #expect(
            arguments == [
                "x-message-ttl": 60_000, "x-expires": 5000, "x-max-length": 10, "x-max-length-bytes": 1000, "x-overflow": "reject-publish",
                "x-single-active-consumer": true, "x-queue-type": "quorum", "x-delivery-limit": 4,
            ])
        #expect(!limits.argumentsOfAnonymous.contains { $0.name == "x-queue-type" })
        #expect(try RabbitMQConfiguration(uri: "amqp://h/?queue-mode=lazy&max-priority=9").queueDefaults.limits.arguments.count == 2)
    }

    @Test(arguments: [
        "http://h", "amqp://h:0/", "amqp://h:99999/", "amqp://u:secret@h:x/", "amqp://h/%zz", "amqp://h/%ff", "amqp://h/%00",
        "amqp://h/?message-ttl=-1", "amqp://h/?queue-type=other", "amqp://h/?overflow=x", "amqp://h/?max-priority=256",
        "amqp://h/?heartbeat=0", "amqp://h/?heartbeat=x", "amqp://h/?no=1", "amqp://h/?cacertfile=x", "amqp://h/%2",
    ]) func `a URI that cannot be used is invalid, and never shows the password`(_ uri: String) {
        do {
            _ = try RabbitMQConfiguration(uri: uri)
            Issue.record("\(uri) was taken")
        } catch {
            #expect(error.code == .invalid)
            #expect(!error.message.contains("secret"))
        }
    }

    @Test(
        arguments: [
            (Duration.zero, nil), (.milliseconds(1), 10), (.milliseconds(10), 10), (.milliseconds(11), 20), (.milliseconds(1000), 1000),
            (.milliseconds(1001), 1100), (.milliseconds(2000), 2000), (.seconds(12), 12_000), (.milliseconds(12_345), 13_000),
            (.seconds(3_600_000), 2_147_483_646 / 100_000_000 * 100_000_000 + 100_000_000), (.seconds(-5), nil),
        ] as [(Duration, Int?)]) func `delays come in steps of two digits, never early`(_ delay: Duration, _ step: Int?)
    {
        #expect(DelayStep.milliseconds(for: delay) == step)
    }

    @Test func `acknowledgements tell of every finished delivery exactly once, in any order`() {
        var generator = SplitMix(state: 7)
        for _ in 0..<500 {
            let count = UInt64.random(in: 1...60, using: &generator)
            var tags = UnsettledTags()
            var open = Set<UInt64>()  // what the broker holds as unsettled
            for tag in 1...count {
                let added = tags.add(tag)
                #expect(added)
                open.insert(tag)
            }
            var rest = Array(1...count).shuffled(using: &generator)
            while !rest.isEmpty {
                let turn = Array(rest.prefix(Int.random(in: 1...8, using: &generator)))
                rest.removeFirst(turn.count)
                var finished: [UInt64] = []
                for tag in turn {
                    if Bool.random(using: &generator) {
                        let outcomes = [tags.done(tag), tags.done(tag), tags.told(tag)]
                        #expect(outcomes == [true, false, false])
                        finished.append(tag)
                    } else {
                        let told = tags.told(tag)
                        #expect(told)
                        open.remove(tag)
                    }
                }
                var told = Set<UInt64>()
                for acknowledgement in tags.acknowledgements(for: finished) {
                    let these =
                        acknowledgement.multiple ? open.filter { $0 <= acknowledgement.tag } : open.intersection([acknowledgement.tag])
                    #expect(!these.isEmpty)  // the broker closes the channel on a tag that it does not know
                    open.subtract(these)
                    told.formUnion(these)
                }
                #expect(told == Set(finished))
            }
            #expect(open.isEmpty)
            let skipped = tags.add(count + 2)
            #expect(!skipped)
        }
    }
}
