import Lifecycle
import Streams
import TestSupport
import Testing

@testable import KafkaBinder

@Suite(.enabled(if: KafkaServer.isAvailable, "\(KafkaServer.whyNot)"), .timeLimit(.minutes(4)))
struct KafkaBinderTests {
    /// Takes `count` deliveries of the group and settles each as `settle` says.
    private func take(
        _ count: Int, of destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions = SubscriptionOptions(prefetch: 16),
        by binder: KafkaBinder, _ settle: (Int, consuming Delivery) async throws -> Void = { try await $1.accept() }
    ) async throws -> [Seen] {
        try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
            var seen: [Seen] = []
            while seen.count < count, let delivery = try await deliveries.next() {
                let one = Seen(envelope: delivery.envelope, attempt: delivery.attempt, position: delivery.position)
                try await settle(seen.count, delivery)
                seen.append(one)
            }
            return seen
        }
    }

    @Test func `a record on the wire has the envelope's key, time, payload and headers`() async throws {
        let server = try await KafkaServer.shared()
        try await withBinder(server) { binder in
            let destination = try fresh()
            let envelope = Envelope(
                payload: Array("{}".utf8), contentType: "application/json", headers: ["n": 7, "b": .bytes([0, 1])], key: "k",
                timestamp: 1_700_000_000_123)
            let receipt = try await binder.publish(envelope, to: destination)
            #expect(receipt.id == envelope.id && receipt.position == "0:0@1700000000123")
            let record = try await RawKafka.read(destination.name, server).first
            #expect(record?.key == Array("k".utf8) && record?.value == envelope.payload && record?.timestamp == 1_700_000_000_123)
            #expect(record?.headers == KafkaHeaders.write(envelope))
        }
    }

    @Test func `an empty payload is no tombstone, and a tombstone of others arrives empty and keeps its key`() async throws {
        let server = try await KafkaServer.shared()
        try await withBinder(server) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("g")
            try await binder.prepare(group: group, of: destination)
            _ = try await binder.publish(Envelope(payload: [], key: "mine"), to: destination)
            try await RawKafka.write(KafkaRecord(topic: destination.name, key: Array("theirs".utf8), value: nil), by: binder)
            let raw = try await RawKafka.read(destination.name, server)
            #expect(raw.map(\.value) == [[], nil])
            let seen = try await take(2, of: destination, group: group, by: binder) {
                try await $1.reject(FailureReason(message: "no \($0)"))
            }
            #expect(seen.map(\.envelope.key) == ["mine", "theirs"] && seen.allSatisfy { $0.envelope.payload.isEmpty })
            // The copies keep the difference.
            let dead = try await RawKafka.read("error.\(destination.name).g", server)
            #expect(dead.map(\.value) == [[], nil])
            #expect(dead[1].key == Array("theirs".utf8))
        }
    }

    @Test func `a dead letter of partition 2 lies in partition 2, with Spring's binary headers behind the record's own`() async throws {
        let server = try await KafkaServer.shared()
        let destination = try fresh()
        try await withBinder(server, { $0.partitions = [destination.name: 3] }) { binder in
            let group = try ConsumerGroup("g")
            try await binder.prepare(group: group, of: destination)
            let record = KafkaRecord(
                topic: destination.name, timestamp: 1_700_000_000_000, key: Array("k-1".utf8), value: Array("poison".utf8),
                headers: RecordHeaders([("h", Array("keep me".utf8)), ("raw", [0, 1, 255]), ("h", nil)]))
            try await RawKafka.write(record, partition: 2, by: binder)
            _ = try await take(1, of: destination, group: group, by: binder) {
                try await $1.reject(FailureReason(message: "broken", kind: "Kind"))
            }
            let dead = try await RawKafka.read("error.\(destination.name).g", server)
            #expect(dead.count == 1 && dead[0].partition == 2 && dead[0].key == record.key && dead[0].value == record.value)
            let names = dead[0].headers.list.map(\.name)
            #expect(
                names == [
                    "h", "raw", "h", "x-original-topic", "x-original-partition", "x-original-offset", "x-original-timestamp",
                    "x-original-timestamp-type", "x-exception-fqcn", "x-exception-message", "x-exception-stacktrace", "carillon-attempts",
                ])
            #expect(dead[0].headers.last("x-original-partition") == [0, 0, 0, 2])
            #expect(dead[0].headers.last("x-original-offset") == [0, 0, 0, 0, 0, 0, 0, 0])
            #expect(dead[0].headers.last("x-exception-message") == Array("broken".utf8))
        }
    }

    @Test func `letters that are dropped one by one leave the others in order, under the same ids`() async throws {
        let server = try await KafkaServer.shared()
        try await withBinder(server) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("g")
            try await binder.prepare(group: group, of: destination)
            for text in ["a", "b", "c", "d", "e"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
            _ = try await take(5, of: destination, group: group, by: binder) {
                try await $1.reject(FailureReason(message: "no \($0)", kind: "K"))
            }
            let letters = try await binder.deadLetters(of: destination, group: group, limit: 10)
            func texts() async throws -> [String] {
                try await binder.deadLetters(of: destination, group: group, limit: 10).map {
                    String(decoding: $0.envelope.payload, as: UTF8.self)
                }
            }
            #expect(try await texts() == ["a", "b", "c", "d", "e"])
            #expect(try await binder.drop([letters[3].id], of: destination, group: group) == 1)
            #expect(try await texts() == ["a", "b", "c", "e"])
            #expect(try await binder.drop([letters[0].id, letters[3].id, "no such letter"], of: destination, group: group) == 1)
            #expect(try await texts() == ["b", "c", "e"])
            let left = try await binder.deadLetters(of: destination, group: group, limit: 10)
            #expect(left.map(\.id) == [letters[1].id, letters[2].id, letters[4].id])
            #expect(left.map(\.time) == [letters[1].time, letters[2].time, letters[4].time])
            #expect(left[0].reason == FailureReason(message: "no 1", kind: "K"))
            #expect(try await binder.backlog(of: destination, group: group).dead == 3)
            #expect(try await binder.drop(nil, of: destination, group: group) == 3)
            #expect(try await texts() == [])
        }
    }

    @Test func `a replay reaches a member that listens already, with the event's own headers, and dies again under a new id`() async throws
    {
        let server = try await KafkaServer.shared()
        try await withBinder(server) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("g")
            try await binder.prepare(group: group, of: destination)
            let sent = Envelope(text: "x", headers: ["h": 1], key: "k")
            _ = try await binder.publish(sent, to: destination)
            _ = try await take(1, of: destination, group: group, by: binder) { try await $1.reject(FailureReason(message: "no")) }
            let letter = try await binder.deadLetters(of: destination, group: group, limit: 1)[0]
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                #expect(try await binder.replay([letter.id], of: destination, group: group) == 1)
                let again = try await deliveries.next()?.take()
                #expect(again?.envelope.id == sent.id && again?.envelope.headers == ["h": 1] && again?.envelope.key == "k")
                #expect(again?.attempt == 1)
                try await again?.settlement.settle(.reject(FailureReason(message: "still no")))
            }
            let second = try await binder.deadLetters(of: destination, group: group, limit: 10)
            #expect(second.count == 1 && second[0].id != letter.id && second[0].envelope.headers == ["h": 1])
            // Others of the topic have not seen it twice.
            #expect(try await RawKafka.read(destination.name, server).count == 1)
        }
    }

    @Test func `destinations and groups whose topics have the same names do not get each other's letters`() async throws {
        let server = try await KafkaServer.shared()
        try await withBinder(server, { $0.groupNaming = .group }) { binder in
            let base = try fresh().name
            let (one, other) = (try Destination("\(base).a"), try Destination(base))
            let (c, ac) = (try ConsumerGroup("c"), try ConsumerGroup("a.c"))
            for (destination, group) in [(one, c), (other, ac)] {
                try await binder.prepare(group: group, of: destination)
                _ = try await binder.publish(Envelope(text: destination.name), to: destination)
                _ = try await take(1, of: destination, group: group, by: binder) { try await $1.reject(FailureReason(message: "no")) }
            }
            for (destination, group) in [(one, c), (other, ac)] {
                let letters = try await binder.deadLetters(of: destination, group: group, limit: 10)
                #expect(letters.map { String(decoding: $0.envelope.payload, as: UTF8.self) } == [destination.name])
                #expect(try await binder.replay(nil, of: destination, group: group) == 1)
            }
            for (destination, group) in [(one, c), (other, ac)] {
                let again = try await take(1, of: destination, group: group, by: binder)
                #expect(again.map(\.text) == [destination.name])
            }
        }
    }

    @Test func `a delayed retry is still due when another member takes over, and what is done meanwhile stays done`() async throws {
        let server = try await KafkaServer.shared()
        try await withBinder(server) { first in
            try await withBinder(server) { second in
                let destination = try fresh()
                let group = try ConsumerGroup("g")
                try await first.prepare(group: group, of: destination)
                for text in ["later", "a", "b", "c"] { _ = try await first.publish(Envelope(text: text), to: destination) }
                let start = ContinuousClock.now
                let seen = try await take(4, of: destination, group: group, by: first) { number, delivery in
                    if number == 0 { try await delivery.retry(after: .seconds(3)) } else { try await delivery.accept() }
                }
                #expect(seen.map(\.text) == ["later", "a", "b", "c"])
                try await eventually(within: .seconds(40), "a delayed event") {
                    try await second.backlog(of: destination, group: group).delayed == 1
                }
                let rest = try await take(1, of: destination, group: group, by: second)
                #expect(rest.map(\.text) == ["later"] && rest[0].attempt == 2)
                #expect(ContinuousClock.now - start >= .milliseconds(2990))
                _ = try await first.publish(Envelope(text: "end"), to: destination)
                let end = try await take(1, of: destination, group: group, by: second)
                #expect(end.map(\.text) == ["end"])
            }
        }
    }

    @Test func `a group that is busy with another destination can be prepared for a new one`() async throws {
        let server = try await KafkaServer.shared()
        try await withBinder(server, { $0.groupNaming = .group }) { binder in
            let (busy, new) = (try fresh("busy"), try fresh("new"))
            let group = try ConsumerGroup("shared-\(Identifier.random().prefix(8))")
            try await binder.withSubscription(to: busy, group: group, options: SubscriptionOptions()) { deliveries in
                _ = try await binder.publish(Envelope(text: "before"), to: new)
                try await binder.prepare(group: group, of: new)
                _ = try await binder.publish(Envelope(text: "kept"), to: new)
                let seen = try await take(1, of: new, group: group, by: binder)
                #expect(seen.map(\.text) == ["kept"])
                _ = try await binder.publish(Envelope(text: "busy"), to: busy)
                let own = try await deliveries.next()?.take()
                #expect(own?.envelope.payload == Array("busy".utf8))
                try await own?.settlement.settle(.accept)
            }
        }
    }

    @Test func `a backlog is what is not done in every partition, of a group that exists`() async throws {
        let server = try await KafkaServer.shared()
        let destination = try fresh()
        try await withBinder(server, { $0.partitions = [destination.name: 3] }) { binder in
            let group = try ConsumerGroup("g")
            for missing in [destination, try fresh("nowhere")] {
                let error = await #expect(throws: BinderError.self) { try await binder.backlog(of: missing, group: group) }
                #expect(error?.code == .invalid)
            }
            try await binder.prepare(group: group, of: destination)
            #expect(
                left(try await binder.backlog(of: destination, group: group))
                    == Backlog(ready: 0, inHand: 0, delayed: 0, dead: 0, members: 0))
            for number in 0..<9 { _ = try await binder.publish(Envelope(text: "\(number)", key: "key-\(number)"), to: destination) }
            #expect(try await binder.backlog(of: destination, group: group).ready == 9)
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 4)) { deliveries in
                var held: [ReceivedEnvelope] = []
                while held.count < 4, let one = try await deliveries.next() { held.append(one.take()) }
                try await held[0].settlement.settle(.accept)
                try await held[1].settlement.settle(.retry(after: .seconds(600)))
                try await held[2].settlement.settle(.reject(FailureReason(message: "no")))
                let wanted = Backlog(ready: 5, inHand: 1, delayed: 1, dead: 1, members: 1)
                try await eventually(within: .seconds(40), "\(wanted)") {
                    left(try await binder.backlog(of: destination, group: group)) == wanted
                }
            }
        }
    }

    @Test func `a broadcast subscription starts after a position, at a time, and is told of a gap`() async throws {
        let server = try await KafkaServer.shared()
        let destination = try fresh()
        try await withBinder(server, { $0.partitions = [destination.name: 2] }) { binder in
            #expect(try await binder.latestPosition(of: destination) == "0:-1,1:-1")
            var receipts: [PublishReceipt] = []
            for number in 0..<10 {
                receipts.append(
                    try await binder.publish(
                        Envelope(payload: Array("\(number)".utf8), key: "\(number)", timestamp: 1_700_000_000_000 + Int64(number) * 1000),
                        to: destination))
            }
            let latest = try #require(try await binder.latestPosition(of: destination))
            func texts(_ start: StartPosition, _ count: Int) async throws -> [String] {
                try await take(count, of: destination, group: nil, options: SubscriptionOptions(start: start), by: binder).map(\.text)
                    .sorted()
            }
            #expect(try await texts(.earliest, 10) == (0..<10).map(String.init))
            #expect(try await texts(.time(1_700_000_007_000), 3) == ["7", "8", "9"])
            // A receipt knows its own partition, and its time for the other.
            #expect(try await Set(texts(.after(try #require(receipts[6].position)), 3)).isSuperset(of: ["7", "8", "9"]))
            let seen = try await take(6, of: destination, group: nil, options: SubscriptionOptions(start: .earliest), by: binder)
            let rest = try await texts(.after(try #require(seen[5].position)), 4)
            #expect(Set(seen.map(\.text) + rest) == Set((0..<10).map(String.init)))
            let last = try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(start: .after(latest))) {
                deliveries in
                _ = try await binder.publish(Envelope(text: "new", key: "n"), to: destination)
                let one = try await deliveries.next()?.take()
                return one.map { String(decoding: $0.envelope.payload, as: UTF8.self) }
            }
            #expect(last == "new")
            // What was there is taken away by retention, so to say.
            let topic = destination.name
            try await RawKafka.admin(server) { admin in
                try admin.deleteRecords(
                    below: (0..<2).map { PartitionOffset(place: TopicPartition(topic: topic, partition: $0), offset: -1) })
            }
            let events = EventCollector()
            try await binder.withSubscription(
                to: destination, group: nil, options: SubscriptionOptions(start: .after("0:0,1:0"), events: { events.add($0) })
            ) { _ in
                try await eventually(within: .seconds(40), "a gap") { events.all.contains(.gap) }
            }
            let error = await #expect(throws: BinderError.self) {
                try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(start: .after("x"))) { _ in }
            }
            #expect(error?.code == .invalid)
        }
    }

    @Test func `a member of a partition gets that partition, where the group stands`() async throws {
        let server = try await KafkaServer.shared()
        let destination = try fresh()
        try await withBinder(server, { $0.partitions = [destination.name: 3] }) { binder in
            let group = try ConsumerGroup("g")
            try await binder.prepare(group: group, of: destination)
            let keys = (0..<30).map { "key-\($0)" }
            for key in keys { _ = try await binder.publish(Envelope(text: key, key: key), to: destination) }
            let error = await #expect(throws: BinderError.self) { try await binder.publish(Envelope(text: "no key"), to: destination) }
            #expect(error?.code == .invalid)
            for partition in 0..<3 {
                let wanted = keys.filter { Partitioning.partition(of: $0, count: 3) == partition }
                var options = SubscriptionOptions()
                options.partition = partition
                let half = try await take(wanted.count / 2, of: destination, group: group, options: options, by: binder)
                let rest = try await take(wanted.count - half.count, of: destination, group: group, options: options, by: binder)
                #expect((half + rest).map(\.text) == wanted)
                #expect(half[0].envelope.headers["scst_partition"] == .integer(Int64(partition)))
            }
            var beyond = SubscriptionOptions()
            beyond.partition = 7
            let options = beyond
            let refusal = await #expect(throws: BinderError.self) {
                try await binder.withSubscription(to: destination, group: group, options: options) { _ in }
            }
            #expect(refusal?.code == .invalid)
        }
    }

    @Test func `partitions that are added later are read from their begin, with and without a group`() async throws {
        let server = try await KafkaServer.shared()
        try await withBinder(server, { $0.metadataInterval = .milliseconds(300) }) { binder in
            let destination = try fresh()
            let (all, shared) = (Collector(), Collector())
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                let ready = Counter()
                for (group, collector) in [(nil, all), (try ConsumerGroup("g"), shared)] as [(ConsumerGroup?, Collector)] {
                    tasks.addTask {
                        try await binder.withSubscription(
                            to: destination, group: group, options: SubscriptionOptions(events: { if $0 == .ready { ready.add() } })
                        ) { deliveries in
                            while collector.count < 12, let delivery = try await deliveries.next() {
                                collector.add(Seen(envelope: delivery.envelope, attempt: delivery.attempt))
                                try await delivery.accept()
                            }
                        }
                    }
                }
                try await eventually(within: .seconds(40), "two members") { ready.value == 2 }
                try await server.tool("topics", "--alter", "--topic", destination.name, "--partitions", "3")
                for number in 0..<12 {
                    let envelope = Envelope(text: "\(number)", headers: [Partitioner.header: .integer(Int64(number % 3))])
                    _ = try await binder.publish(envelope, to: destination)
                }
                while try await tasks.next() != nil {}
            }
            #expect(Set(all.texts) == Set((0..<12).map(String.init)) && Set(shared.texts) == Set(all.texts))
        }
    }

    @Test func `what is held for too long while a partition moves cannot be settled any more, and is handed out again`() async throws {
        let server = try await KafkaServer.shared()
        try await withBinder(server, { $0.handOverLimit = .milliseconds(300) }) { first in
            try await withBinder(server) { second in
                let destination = try fresh()
                let group = try ConsumerGroup("g")
                try await first.prepare(group: group, of: destination)
                _ = try await first.publish(Envelope(text: "x"), to: destination)
                let (collector, ready) = (Collector(), Counter())
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    try await first.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                        guard let held = try await deliveries.next()?.take() else { return }
                        tasks.addTask {
                            let options = SubscriptionOptions(events: { if $0 == .ready { ready.add() } })
                            try? await second.withSubscription(to: destination, group: group, options: options) { deliveries in
                                while let delivery = try await deliveries.next() {
                                    collector.add(Seen(envelope: delivery.envelope, attempt: delivery.attempt))
                                    try await delivery.accept()
                                }
                            }
                        }
                        try await eventually(within: .seconds(30), "a second member") { ready.value == 1 }
                        let error = await #expect(throws: BinderError.self) { try await held.settlement.settle(.accept) }
                        #expect(error?.code == .unreachable)
                    }
                    try await eventually(within: .seconds(30), "the event at the second member") { collector.count == 1 }
                    tasks.cancelAll()
                }
                #expect(collector.all.map(\.text) == ["x"] && collector.all[0].attempt >= 2)
            }
        }
    }

    @Test func `cooperative members that come one by one lose nothing`() async throws {
        let server = try await KafkaServer.shared()
        try await withBinder(
            server,
            {
                $0.cooperative = true
                $0.defaultPartitions = 4
            }
        ) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("g")
            try await binder.prepare(group: group, of: destination)
            let collector = Collector()
            try await withThrowingTaskGroup(of: Void.self) { members in
                let ready = Counter()
                for member in 0..<3 {
                    members.addTask {
                        try? await binder.withSubscription(
                            to: destination, group: group,
                            options: SubscriptionOptions(prefetch: 4, events: { if $0 == .ready { ready.add() } })
                        ) { deliveries in
                            while let delivery = try await deliveries.next() {
                                collector.add(Seen(envelope: delivery.envelope, attempt: delivery.attempt, member: member))
                                try await delivery.accept()
                            }
                        }
                    }
                    for number in 0..<100 { _ = try await binder.publish(Envelope(text: "\(member)-\(number)"), to: destination) }
                    try await eventually(within: .seconds(30), "member \(member)") { ready.value == member + 1 }
                }
                try await eventually(within: .seconds(60), "300 events") { Set(collector.texts).count == 300 }
                members.cancelAll()
            }
            #expect(Set(collector.texts).count == 300)
        }
    }
}

/// What is not done, without counters and partitions.
private func left(_ backlog: Backlog) -> Backlog {
    Backlog(
        ready: backlog.ready, inHand: backlog.inHand, delayed: backlog.delayed, dead: backlog.dead, members: backlog.members)
}
