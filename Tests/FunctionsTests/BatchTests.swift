import Streams
import TestSupport
import Testing

@testable import Functions

@Suite struct BatchTests {
    private struct Broken: Error, CustomStringConvertible { let description = "broken" }

    private func binding(size: Int) -> InputBinding {
        var binding = InputBinding("x", group: "g")
        binding.batch = InputBinding.Batch(size: size, wait: .seconds(3))
        return binding
    }

    @Test func `a batch has as many events as are there within its time, and gives one result`() async throws {
        let sizes = Recorded<Int>()
        try await Bench.with(inputs: ["sum-in-0": binding(size: 5)], outputs: ["sum-out-0": OutputBinding("sums")]) { app in
            app.batch("sum") { (orders: [Order]) async throws -> Int? in
                sizes.add(orders.count)
                return orders.map(\.id).reduce(0, +)
            }
        } _: { bench in
            try bench.app.pause("sum-in-0")
            for number in 1...7 { try await bench.publish("{\"id\":\(number),\"item\":\"\"}", to: "x") }
            try bench.app.resume("sum-in-0")
            let sums = try await bench.taken(2, from: "sums").map { String(decoding: $0.payload, as: UTF8.self) }
            #expect(sums == ["15", "13"])
            #expect(sizes.all == [5, 2])
            try await eventually { try await bench.backlog("x", "g").total == 0 }
        }
    }

    @Test func `what comes before the failed event of a batch is done, the failed one is a dead letter, and the rest goes on`() async throws
    {
        let batches = Recorded<[Int]>()
        var binding = binding(size: 4)
        binding.attempts = 2
        try await Bench.with(inputs: ["f-in-0": binding]) { app in
            app.batch("f") { (orders: [Order]) in
                batches.add(orders.map(\.id))
                if let index = orders.firstIndex(where: { $0.id == 3 }) { throw BatchFailure(at: index, Broken()) }
            }
        } _: { bench in
            try bench.app.pause("f-in-0")
            for number in 1...4 { try await bench.publish("{\"id\":\(number),\"item\":\"\"}", to: "x") }
            try bench.app.resume("f-in-0")
            try await eventually { try await bench.backlog("x", "g").total == 0 }
            #expect(batches.all == [[1, 2, 3, 4], [3, 4], [4]])
            #expect(try await bench.deadLetters("x", "g").map(\.reason.message) == ["broken"])
        }
    }

    @Test func `events of a batch that cannot be decoded are dead letters, and the handler gets the others`() async throws {
        let batches = Recorded<[Int]>()
        try await Bench.with(inputs: ["f-in-0": binding(size: 3)]) { app in
            app.batch("f") { (orders: [Order]) in batches.add(orders.map(\.id)) }
        } _: { bench in
            try bench.app.pause("f-in-0")
            try await bench.publish("?", #"{"id":1,"item":""}"#, #"{"id":2}"#, to: "x")
            try bench.app.resume("f-in-0")
            try await eventually { try await bench.backlog("x", "g").total == 0 }
            #expect(batches.all == [[1]])
            #expect(try await bench.deadLetters("x", "g").count == 2)
        }
    }

    @Test func `a batch of envelopes may give several results`() async throws {
        try await Bench.with(inputs: ["f-in-0": binding(size: 2)], outputs: ["f-out-0": OutputBinding("y")]) { app in
            app.batch("f") { (envelopes: [Envelope]) async throws -> [Envelope] in envelopes }
        } _: { bench in
            try await bench.publish("a", "b", to: "x", key: "k")
            let taken = try await bench.taken(2, from: "y")
            #expect(taken.map { String(decoding: $0.payload, as: UTF8.self) } == ["a", "b"])
            let given = try await bench.taken(2, from: "x")
            #expect(Set(taken.map(\.id)).isDisjoint(with: given.map(\.id)))
        }
    }
}
