import Autoscaler
import Foundation
import HTTP
import JSON
import Locking
import Orchestrators
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct NomadTests {
    static func with(
        group: String? = "workers", _ body: (TargetBench, FakeNomad) async throws -> Void
    ) async throws {
        let fake = FakeNomad()
        try await TargetBench.playing(fake) { url, folder in
            try NomadTarget(
                address: url, job: "shop/orders", group: group, namespace: "sales", region: "north", tokenFile: folder + "/token",
                limits: TargetBench.limits)
        } _: { bench in
            try await body(bench, fake)
        }
    }

    @Test func `what runs beyond what is wanted is never taken for the count`() async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { $0.running = 7 }
            #expect(try await bench.target.observe().count == InstanceCount(desired: 3, ready: 3, starting: 0))
            // One that runs and is found ill is not ready.
            fake.state.withLock { state in
                state.running = 3
                state.unhealthy = 1
            }
            #expect(try await bench.target.observe().count == InstanceCount(desired: 3, ready: 2, starting: 1))
        }
    }

    @Test(arguments: ["running", "paused", "blocked", "unblocking", "initializing", "pending", "some state of a later version"])
    func `whatever state a deployment is in but over, nothing is written`(_ status: String) async throws {
        try await Self.with { bench, fake async throws in
            // Before 1.4 the refused count would be kept, and carried out later.
            fake.state.withLock { state in
                state.deployment = status
                state.keepsRefused = true
            }
            #expect(try await bench.target.observe().locked?.contains("8e1c2f04 is \(status)") == true)
            for count in [1, 9] { #expect(try await bench.scale(count).isLocked) }
            #expect(fake.desired == 3)
            #expect(fake.state.withLock { $0.bodies }.isEmpty)
        }
    }

    @Test(arguments: ["successful", "failed", "cancelled"])
    func `a deployment that is over locks nothing`(_ status: String) async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { $0.deployment = status }
            #expect(try await bench.target.observe().locked == nil)
        }
    }

    @Test func `an old server takes a count by what was looked at just before`() async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { $0.isNew = false }
            let seen = try await bench.target.observe()
            fake.set(8)
            #expect(try await bench.target.scale(bench.order(5, seen)).isConflict)
            #expect(fake.written.isEmpty)
        }
    }

    @Test func `a write tells its history who asked and why`() async throws {
        try await Self.with { bench, fake async throws in
            #expect(try await bench.scale(5) == .applied(reference: "evaluation 5a1b"))
            let body = try #require(fake.state.withLock { $0.bodies.first })
            #expect(body["Message"]?.string == "8,000 wait; 60 s are promised")
            #expect(body["Meta"]?["carillon-decision"]?.string == "orders/2/7")
            #expect(body["JobModifyIndex"]?.integer == 40)
            #expect(body["PolicyOverride"] == nil)
        }
    }

    @Test(arguments: [nil, "wrokers"])
    func `a group that is not named, or is not there, is told with those there are`(_ group: String?) async throws {
        try await Self.with(group: group) { bench, _ async throws in
            let error = await #expect(throws: TargetError.self) { try await bench.target.observe() }
            #expect(error?.kind == (group == nil ? .rejected : .notFound))
            #expect(error?.message.contains("web, workers") == true)
        }
    }

    @Test func `a job that is stopped is left alone`() async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { $0.isStopped = true }
            #expect(await failure { _ = try await bench.target.observe() } == .rejected)
            #expect(await failure { _ = try await bench.target.scale(bench.order(5, nil)) } == .rejected)
            #expect(fake.written.isEmpty)
        }
    }

    @Test(arguments: [
        (400, "group count was less than scaling policy minimum: 1 < 2", TargetError.Kind.rejected),
        (500, "No cluster leader", .unavailable),
        (500, "rpc error: Permission denied", .unauthorized), (403, "Permission denied", .unauthorized), (404, "job not found", .notFound),
        (400, "job \"shop/orders\" not found", .notFound),
    ])
    func `refusals are told apart by what they say`(_ status: Int, _ text: String, _ kind: TargetError.Kind) async throws {
        try await Self.with { bench, _ async throws in
            bench.faults.set(fault: .refuses(status, says: text), writesOnly: true)
            let error = await #expect(throws: TargetError.self) { try await bench.scale(5) }
            #expect(error?.kind == kind)
            #expect(error?.message.contains(text) == true)
        }
    }

    @Test(arguments: ["job scaling blocked due to active deployment", "Job scaling BLOCKED due to an active deployment (8e1c)"])
    func `a lock is understood in other words as well`(_ text: String) async throws {
        try await Self.with { bench, _ async throws in
            bench.faults.set(fault: .refuses(400, says: text), writesOnly: true)
            #expect(try await bench.scale(5) == .locked(text))
        }
    }

    @Test func `an index that goes backwards, as after a restore, is followed`() async throws {
        try await Self.with { bench, fake async throws in
            try await bench.watching { hints in
                try await eventually("a question that waits") { fake.streams == 1 }
                fake.set(4)
                try await eventually("another one") { hints() >= 2 && fake.streams == 1 }
                fake.state.withLock { $0.index = 2 }
                fake.dropStreams()
                let before = hints()
                try await eventually("a new one") { fake.streams == 1 && hints() > before }
                let then = hints()
                fake.set(5)
                try await eventually("a hint") { hints() > then }
            }
        }
    }

    @Test(arguments: ["", "nomad:4646", "ftp://x", "http://", "http://h:4646/?x"])
    func `what is no address is refused at once`(_ address: String) {
        #expect(throws: TargetError.self) { try NomadTarget(address: address, job: "x") }
    }
}
