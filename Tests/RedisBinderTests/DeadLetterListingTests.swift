import RedisBinder
import Streams
import TestSupport
import Testing

@Suite(.enabled(if: RedisServer.isInstalled, "\(RedisServer.whyNot)"), .timeLimit(.minutes(2)))
struct DeadLetterListingTests {
    @Test func `groups with dead letters are told, whatever they are called, and no others`() async throws {
        try await RedisServer.with { server in
            try await withBinder(server) {
                $0.prefix = "my[1]*:"
            } _: { binder in
                let odd = try Destination("a{b}%7B:dead:c")
                let plain = try Destination("plain")
                let group = try ConsumerGroup("g:dead:h}")
                for destination in [odd, plain] {
                    try await binder.prepare(group: group, of: destination)
                    for text in ["1", "2"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
                }
                try await binder.withSubscription(to: odd, group: group, options: SubscriptionOptions()) { deliveries in
                    for _ in 0..<2 { try await deliveries.next()?.reject(FailureReason(message: "no")) }
                }
                let groups = try await binder.groupsWithDeadLetters()
                #expect(groups == [DeadLetterGroup(destination: odd, group: group, count: 2)])
                let dropped = try await binder.drop(nil, of: odd, group: group)
                let none = try await binder.groupsWithDeadLetters()
                #expect(dropped == 2 && none.isEmpty)
            }
        }
    }
}
