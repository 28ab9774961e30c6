import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct LocalBinderBoundsTests {
    private func receive(_ count: Int, from deliveries: inout Deliveries) async throws -> [String] {
        var texts: [String] = []
        while texts.count < count, let delivery = try await deliveries.next() {
            texts.append(String(decoding: delivery.envelope.payload, as: UTF8.self))
            try await delivery.accept()
        }
        return texts
    }

    @Test func `a publish that would exceed a group's backlog is refused as blocked, and goes through when the group has done some`()
        async throws
    {
        let binder = LocalBinder(limits: LocalLimits(backlogEvents: 3))
        let destination = try Destination("d")
        let group = try ConsumerGroup("g")
        try await binder.prepare(group: group, of: destination)
        for text in ["a", "b", "c"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
        await #expect { _ = try await binder.publish(Envelope(text: "d"), to: destination) } throws: {
            ($0 as? BinderError)?.code == .blocked
        }
        let ready = try await binder.backlog(of: destination, group: group).ready
        #expect(ready == 3)
        try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
            let texts1 = try await receive(1, from: &deliveries)
            #expect(texts1 == ["a"])
            _ = try await binder.publish(Envelope(text: "d"), to: destination)
            let texts2 = try await receive(3, from: &deliveries)
            #expect(texts2 == ["b", "c", "d"])
        }
        let total = try await binder.backlog(of: destination, group: group).total
        #expect(total == 0)
    }

    @Test func `a broadcast subscription that reads too slowly is told of the gap and goes on with what is left`() async throws {
        let binder = LocalBinder(limits: LocalLimits(historyEvents: 5))
        let destination = try Destination("d")
        let events = EventCollector()
        try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(events: { events.add($0) })) {
            deliveries in
            for index in 0..<20 { _ = try await binder.publish(Envelope(text: "\(index)"), to: destination) }
            let texts3 = try await receive(5, from: &deliveries)
            #expect(texts3 == ["15", "16", "17", "18", "19"])
        }
        #expect(events.all == [.ready, .gap])
    }

    @Test func `history is not dropped while a group has yet to take it`() async throws {
        let binder = LocalBinder(limits: LocalLimits(historyEvents: 5))
        let destination = try Destination("d")
        let group = try ConsumerGroup("g")
        try await binder.prepare(group: group, of: destination)
        for index in 0..<200 { _ = try await binder.publish(Envelope(text: "\(index)"), to: destination) }
        try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
            let texts4 = try await receive(200, from: &deliveries)
            #expect(texts4 == (0..<200).map(String.init))
        }
    }

    @Test func `a position that is gone, or of another broker, gives all that is left and a gap`() async throws {
        let binder = LocalBinder()
        let destination = try Destination("d")
        _ = try await binder.publish(Envelope(text: "a"), to: destination)
        let events = EventCollector()
        let options = SubscriptionOptions(start: .after("000000-1"), events: { events.add($0) })
        try await binder.withSubscription(to: destination, group: nil, options: options) { deliveries in
            let texts5 = try await receive(1, from: &deliveries)
            #expect(texts5 == ["a"])
        }
        #expect(events.all == [.ready, .gap])
        await #expect {
            try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(start: .after("x"))) { _ in }
        } throws: { ($0 as? BinderError)?.code == .invalid }
    }

    @Test func `the oldest dead letter goes when one more than the bound comes`() async throws {
        let binder = LocalBinder(limits: LocalLimits(deadLetters: 2))
        let destination = try Destination("d")
        let group = try ConsumerGroup("g")
        try await binder.prepare(group: group, of: destination)
        for text in ["a", "b", "c"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
        try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
            for _ in 0..<3 { try await deliveries.next()?.reject(FailureReason(message: "no")) }
        }
        let letters = try await binder.deadLetters(of: destination, group: group, limit: 10)
        #expect(letters.map(\.envelope.payload) == [Array("b".utf8), Array("c".utf8)])
    }

    @Test func `the backlog tells what is ready, in hand, delayed and dead`() async throws {
        let binder = LocalBinder()
        let destination = try Destination("d")
        let group = try ConsumerGroup("g")
        await #expect { _ = try await binder.backlog(of: destination, group: group) } throws: { ($0 as? BinderError)?.code == .invalid }
        try await binder.prepare(group: group, of: destination)
        for text in ["a", "b", "c", "d", "e"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
        try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
            try await deliveries.next()?.reject(FailureReason(message: "no"))
            try await deliveries.next()?.retry(after: .seconds(60))
            let third = try await deliveries.next()
            let backlog = try await binder.backlog(of: destination, group: group)
            #expect(backlog.ready == 2 && backlog.inHand == 1 && backlog.delayed == 1 && backlog.dead == 1 && backlog.members == 1)
            #expect(backlog.oldestAge != nil)
            try await third?.accept()
        }
    }
}
