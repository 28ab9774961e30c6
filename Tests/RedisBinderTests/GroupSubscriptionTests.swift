import Streams
import Telemetry
import Testing

@testable import RedisBinder

/// A member of a group without its thread: the test makes the calls that the thread makes.
@Suite struct GroupSubscriptionTests {
    /// A server that is killed may have sent its last entries: answer and end are then found in one look at the socket.
    @Test func `entries that came just before their connection broke are handed out`() throws {
        let destination = try Destination("orders")
        let group = try ConsumerGroup("workers")
        let subscription = GroupSubscription(
            to: destination, group: group, options: SubscriptionOptions(),
            keys: RedisKeys(destination, partition: nil, group: group, prefix: "carillon:"), start: "0",
            configuration: RedisConfiguration(addresses: []), log: Log(part: "test"), metrics: Metrics())
        subscription.reading = 2
        let entries = ["first", "second"].enumerated().map { index, text in
            "*2\r\n$3\r\n\(index + 1)-0\r\n*2\r\n$7\r\npayload\r\n$\(text.utf8.count)\r\n\(text)\r\n"
        }
        try subscription.received(try reply("*1\r\n*2\r\n$6\r\norders\r\n*2\r\n" + entries.joined()), on: 0)
        subscription.lost(RedisFailure(.connection, "the server closed the connection"))
        var untaken = subscription.desk.drain()
        #expect(untaken.popFirst().map { String(decoding: $0.envelope.payload, as: UTF8.self) } == "first")
        #expect(untaken.popFirst().map { String(decoding: $0.envelope.payload, as: UTF8.self) } == "second")
    }

    private func reply(_ wire: String) throws -> RedisReply {
        let reader = try ReplyReader()
        try Array(wire.utf8).withUnsafeBytes { try reader.feed($0) }
        return try #require(try reader.next())
    }
}
