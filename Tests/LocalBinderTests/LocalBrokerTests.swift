import LocalBinder
import Streams
import Testing

/// Random commands against the broker as a value, with a model beside it that knows what must hold.
@Suite struct LocalBrokerTests {
    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {  // splitmix64
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return z ^ z >> 31
        }
    }

    private struct Model {
        var keys: [UInt64: Int] = [:]
        var inHand: [UInt64: (member: UInt64, attempt: Int)] = [:]
        var done: Set<UInt64> = []
        var delayed: [UInt64: Int64] = [:]
        var attempts: [UInt64: Int] = [:]
        var prefetch: [UInt64: Int] = [:]
        var asking: Set<UInt64> = []

        /// Checks one hand-out and takes it over.
        mutating func take(_ handOut: HandOut, wasAsked: Bool) {
            let position = handOut.position
            #expect(!done.contains(position), "\(position) was handed out after it was done")
            #expect(inHand[position] == nil, "\(position) was handed out twice at a time")
            #expect(delayed[position] == nil, "\(position) was handed out before its time")
            #expect(handOut.attempt == attempts[position, default: 0] + 1, "attempt of \(position)")
            attempts[position] = handOut.attempt
            inHand[position] = (handOut.member, handOut.attempt)
            let held = inHand.values.count { $0.member == handOut.member }
            #expect(held <= prefetch[handOut.member] ?? 0, "\(handOut.member) has \(held) in hand")
            if wasAsked { #expect(asking.remove(handOut.member) != nil, "\(handOut.member) was given an event that it had not asked for") }
            // The order of a key: no other member has one of the same key in hand, and nothing earlier of the key still waits.
            guard let key = keys[position] else { return }
            for (other, hand) in inHand where keys[other] == key && other != position {
                #expect(hand.member == handOut.member, "key \(key) is at two members")
            }
            for earlier in 1..<max(1, position) where keys[earlier] == key {
                #expect(
                    done.contains(earlier) || inHand[earlier] != nil || delayed[earlier] != nil,
                    "\(position) came before \(earlier) of its key")
            }
        }
    }

    @Test(arguments: 0..<20) func `whatever happens, each event is at one place, in order of its key, and done once`(_ seed: Int) throws {
        var random = Generator(state: UInt64(seed) &* 7919)
        var broker = LocalBroker(limits: LocalLimits(historyEvents: 50), epoch: "e", durable: seed.isMultiple(of: 2))
        let destination = try broker.index(creating: "d")
        let group = try broker.group("g", in: destination, start: .earliest).group
        var model = Model()
        var seats: [LocalBroker.Seat] = []
        var published: UInt64 = 0
        var now: Int64 = 0
        for _ in 0..<1500 {
            var out: [HandOut] = []
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<30:
                let key = Bool.random(using: &random) ? Int.random(in: 0..<5, using: &random) : nil
                published += 1
                model.keys[published] = key
                let envelope = Envelope(id: "x", payload: [], key: key.map { "k\($0)" })
                let position = broker.append(StoredEnvelope(envelope), size: 1, to: destination, time: now, &out)
                #expect(position == published)
            case 30..<35 where seats.count < 6:
                let prefetch = Int.random(in: 1...4, using: &random)
                let seat = broker.join(group: group, in: destination, prefetch: prefetch)
                model.prefetch[seat.member] = prefetch
                seats.append(seat)
            case 35..<38 where !seats.isEmpty:
                let seat = seats.remove(at: Int.random(in: 0..<seats.count, using: &random))
                model.asking.remove(seat.member)
                for (position, hand) in model.inHand where hand.member == seat.member { model.inHand[position] = nil }
                broker.leave(seat, &out)
            case 38..<60 where !seats.isEmpty:
                let seat = try #require(seats.randomElement(using: &random))
                guard !model.asking.contains(seat.member) else { continue }
                if Bool.random(using: &random) {
                    if let handOut = broker.take(seat, &out) {
                        // Given to others on the way, before.
                        for one in out { model.take(one, wasAsked: true) }
                        out = []
                        model.take(handOut, wasAsked: false)
                    }
                } else {
                    model.asking.insert(seat.member)
                    broker.ask(seat, &out)
                }
            case 60..<65:
                now += Int64.random(in: 0..<20, using: &random)
                model.delayed = model.delayed.filter { $0.value > now }
                broker.wake(now, &out)
            default:
                guard let position = model.inHand.keys.sorted().randomElement(using: &random), let hand = model.inHand[position],
                    let seat = seats.first(where: { $0.member == hand.member })
                else { continue }
                let outcome: GroupState.Outcome
                switch Int.random(in: 0..<10, using: &random) {
                case 0: outcome = .retry(nil)
                case 1:
                    outcome = .retry(now + 10)
                    model.delayed[position] = now + 10
                case 2:
                    outcome = .unseen
                    model.attempts[position] = hand.attempt - 1
                case 3:
                    outcome = .reject(FailureReason(message: "no"), time: now, LocalLimits())
                    model.done.insert(position)
                default:
                    outcome = .accept
                    model.done.insert(position)
                }
                model.inHand[position] = nil
                let settled = broker.settle(position, at: seat, attempt: hand.attempt, outcome, &out)
                #expect(settled != .stale)
                if case .unseen = outcome { break }  // may come to the same member with the same attempt
                #expect(broker.settle(position, at: seat, attempt: hand.attempt, .accept, &out) == .stale)
            }
            for one in out { model.take(one, wasAsked: true) }
        }
        // At the end everything that is not done comes to one patient member.
        var out: [HandOut] = []
        for seat in seats { broker.leave(seat, &out) }
        #expect(out.allSatisfy { one in seats.contains { $0.member == one.member } })
        out = []
        broker.wake(.max, &out)
        let last = broker.join(group: group, in: destination, prefetch: 1)
        var rest: [UInt64] = []
        while let handOut = broker.take(last, &out) {
            rest.append(handOut.position)
            #expect(broker.settle(handOut.position, at: last, attempt: handOut.attempt, .accept, &out) == .done)
        }
        #expect(rest == rest.sorted(), "a member with a prefetch of one gets them in order")
        let left = (0..<published).map { $0 + 1 }.filter { !model.done.contains($0) }
        #expect(rest == left, "nothing is lost, nothing done comes again")
    }
}
