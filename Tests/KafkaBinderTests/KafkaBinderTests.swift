import Lifecycle
import Streams
import TestSupport
import Testing

@testable import KafkaBinder

@Suite(.enabled(if: KafkaServer.isAvailable, "\(KafkaServer.whyNot)"), .timeLimit(.minutes(4)))
struct KafkaBinderTests {
    @Test func `step`() async throws {
        let server = try await KafkaServer.shared()
        try await withBinder(server) { binder in
            let d = try fresh()
            print("STEP publish")
            print("STEP", try await binder.publish(Envelope(text: "x"), to: d))
            try await binder.withSubscription(to: d, group: nil, options: SubscriptionOptions(start: .earliest)) { deliveries in
                print("STEP broadcast ready")
                let one = try await deliveries.next()?.take()
                print("STEP", one?.envelope as Any)
                try await one?.settlement.settle(.accept)
            }
            print("STEP prepare")
            try await binder.prepare(group: ConsumerGroup("g"), of: d)
            print("STEP prepared")
            _ = try await binder.publish(Envelope(text: "y"), to: d)
            try await binder.withSubscription(to: d, group: ConsumerGroup("g"), options: SubscriptionOptions(start: .earliest)) {
                deliveries in
                print("STEP group ready")
                let one = try await deliveries.next()?.take()
                print("STEP", one?.envelope as Any)
                try await one?.settlement.settle(.accept)
            }
            print("STEP end")
        }
    }
}
