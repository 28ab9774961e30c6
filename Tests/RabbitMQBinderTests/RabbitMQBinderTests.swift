import Streams
import TestSupport
import Testing

@testable import RabbitMQBinder

@Suite(.enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"), .timeLimit(.minutes(2)))
struct RabbitMQBinderTests {
    @Test func `a broadcast reaches every subscription`() async throws {
        try await withBinder(RabbitMQServer.shared()) { binder in
            let destination = try fresh()
            try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions()) { first in
                try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions()) { second in
                    let receipt = try await binder.publish(Envelope(text: "hello"), to: destination)
                    let one = try await first.next()?.take()
                    let two = try await second.next()?.take()
                    #expect(one?.envelope.id == receipt.id)
                    #expect(two?.envelope.id == receipt.id)
                    #expect(one?.envelope.payload == Array("hello".utf8))
                    #expect(one?.envelope.contentType == "text/plain")
                    #expect(one?.attempt == 1)
                    try await one?.settlement.settle(.accept)
                    try await two?.settlement.settle(.accept)
                }
            }
        }
    }

    @Test func `members of a group share its events, and it keeps what was sent before`() async throws {
        try await withBinder(RabbitMQServer.shared()) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("workers")
            try await binder.prepare(group: group, of: destination)
            var sent: Set<String> = []
            for number in 0..<20 { sent.insert(try await binder.publish(Envelope(text: "\(number)"), to: destination).id) }
            var received: Set<String> = []
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 3)) { deliveries in
                while received.count < 20, let delivery = try await deliveries.next() {
                    received.insert(delivery.envelope.id)
                    try await delivery.accept()
                }
            }
            #expect(received == sent)
        }
    }
}
