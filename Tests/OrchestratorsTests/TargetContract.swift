import Autoscaler
import Foundation
import HTTP
import Locking
import Orchestrators
import TestSupport
import Testing

/// What a policy may rely on, whatever orchestrator it scales. Each case is played against a server that keeps state and refuses as the real one.
@Suite(.timeLimit(.minutes(3))) struct TargetContract {
    @Test(arguments: RemoteKind.allCases)
    func `an observation tells what is wanted, what is ready and what starts`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            let first = try await bench.target.observe()
            #expect(first.count == InstanceCount(desired: 3, ready: 3, starting: 0))
            #expect(first.fence != nil)
            #expect(first.owner == nil && first.locked == nil && first.pending == nil)
            bench.fake.place(1)
            #expect(try await bench.target.observe().count == InstanceCount(desired: 3, ready: 1, starting: 2))
            bench.fake.set(0)
            bench.fake.place(0)
            #expect(try await bench.target.observe().count == InstanceCount(desired: 0, ready: 0, starting: 0))
            #expect(bench.fake.written.isEmpty)
        }
    }

    @Test(arguments: RemoteKind.allCases)
    func `counts go up, down, to zero and back, each written once`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            for count in [5, 2, 0, 40] {
                #expect(try await bench.scale(count).isApplied)
                #expect(bench.fake.desired == count)
                #expect(try await bench.target.observe().count.desired == count)
                bench.fake.place(count)
                #expect(try await bench.target.observe().count == InstanceCount(desired: count, ready: count, starting: 0))
            }
            #expect(bench.fake.written == [5, 2, 0, 40])
        }
    }

    @Test(arguments: RemoteKind.telling)
    func `the count that is there changes nothing`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            let before = try await bench.target.observe()
            #expect(try await bench.target.scale(bench.order(3, before)) == .unchanged)
            #expect(bench.fake.written.isEmpty)
            #expect(try await bench.target.observe() == before)
        }
    }

    @Test(arguments: RemoteKind.allCases)
    func `an order without a fence is one for the state that is there`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            #expect(try await bench.target.scale(bench.order(4, nil)).isApplied)
            #expect(bench.fake.written == [4])
        }
    }

    @Test(arguments: RemoteKind.allCases)
    func `what somebody else wrote since is not overwritten, and is seen`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            let seen = try await bench.target.observe()
            bench.fake.set(9)
            #expect(try await bench.target.scale(bench.order(5, seen)).isConflict)
            #expect(bench.fake.desired == 9)
            let again = try await bench.target.observe()
            #expect(again.count.desired == 9)
            #expect(again.fence != seen.fence)
            #expect(try await bench.target.scale(bench.order(5, again)).isApplied)
            #expect(bench.fake.written == [5])
        }
    }

    @Test(arguments: RemoteKind.fencing)
    func `four writes that others overtake at the last moment are conflicts, the fifth goes through`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            for _ in 0..<4 {
                bench.faults.beforeNextWrite { [fake = bench.fake] in fake.set(3) }
                #expect(try await bench.scale(5).isConflict)
                #expect(bench.fake.desired == 3)
            }
            #expect(try await bench.scale(5).isApplied)
            #expect(bench.fake.written == [5])
        }
    }

    @Test(arguments: RemoteKind.locking)
    func `a deployment under way is told, and nothing is written before it ends`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            bench.fake.lock(true)
            let seen = try await bench.target.observe()
            #expect(seen.locked?.contains("deployment") == true)
            for count in [5, 1] { #expect(try await bench.target.scale(bench.order(count, seen)).isLocked) }
            #expect(bench.fake.written.isEmpty)
            #expect(!bench.faults.requests.contains { $0.method != "GET" })
            bench.fake.lock(false)
            #expect(try await bench.target.observe().locked == nil)
            #expect(try await bench.scale(5).isApplied)
            // And one that begins after the last look.
            bench.faults.beforeNextWrite { [fake = bench.fake] in fake.lock(true) }
            #expect(try await bench.scale(6).isLocked)
            #expect(bench.fake.written == [5])
        }
    }

    @Test(arguments: RemoteKind.guarded)
    func `a token that was exchanged is read anew at the first refusal`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            let seen = try await bench.target.observe()
            bench.faults.set(token: "s3cret-two")
            for _ in 0..<2 {
                let error = await #expect(throws: TargetError.self) { try await bench.target.observe() }
                #expect(error?.kind == .unauthorized)
                #expect(error?.message.contains(bench.target.name) == true)
                #expect(error?.message.contains("s3cret") == false)
                #expect(error?.message.contains(kind == .webhook ? "secret" : "token") == true)
                let refused = await #expect(throws: TargetError.self) { try await bench.target.scale(bench.order(5, seen)) }
                #expect(refused?.kind == .unauthorized)
            }
            try bench.put(token: "s3cret-two\n")
            #expect(try await bench.target.scale(bench.order(5, seen)).isApplied)
            #expect(try await bench.target.observe().count.desired == 5)
            #expect(bench.fake.written == [5])
        }
    }

    @Test(arguments: RemoteKind.allCases)
    func `a target that is gone is not found, and is not made anew`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            let seen = try await bench.target.observe()
            bench.fake.remove()
            let error = await #expect(throws: TargetError.self) { try await bench.target.observe() }
            #expect(error?.kind == .notFound)
            let refused = await #expect(throws: TargetError.self) { try await bench.target.scale(bench.order(5, seen)) }
            #expect(refused?.kind == .notFound)
            #expect(bench.fake.written.isEmpty)
        }
    }

    @Test(arguments: RemoteKind.allCases)
    func `a write that comes too soon is told to wait`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            let seen = try await bench.target.observe()
            bench.faults.set(fault: .refuses(429, retryAfter: 7), writesOnly: true)
            #expect(try await bench.target.scale(bench.order(5, seen)) == .throttled(after: 7))
            bench.faults.set(fault: .refuses(429, retryAfter: 7))
            #expect(await failure { _ = try await bench.target.observe() } == .unavailable)
            bench.faults.set(fault: nil)
            #expect(try await bench.scale(5).isApplied)
        }
    }

    @Test(arguments: RemoteKind.allCases, [Fault.refuses(500), .refuses(503), .garbage])
    func `no answer to build on is unavailable, of a look and of a write`(_ kind: RemoteKind, _ fault: Fault) async throws {
        try await TargetBench.with(kind) { bench async throws in
            let seen = try await bench.target.observe()
            // To a webhook any 2xx is a yes, whatever it says.
            if kind != .webhook || fault != .garbage {
                bench.faults.set(fault: fault, writesOnly: true)
                let refused = await #expect(throws: TargetError.self) { try await bench.target.scale(bench.order(5, seen)) }
                #expect(refused?.kind == .unavailable)
            }
            bench.faults.set(fault: fault)
            let error = await #expect(throws: TargetError.self) { try await bench.target.observe() }
            #expect(error?.kind == .unavailable)
            #expect(error?.message.contains(bench.target.name) == true)
            #expect(error?.message.contains("127.0.0.1:\(bench.server.port)") == true)
            bench.faults.set(fault: nil)
            #expect(try await bench.target.observe() == seen)
        }
    }

    @Test(arguments: RemoteKind.allCases)
    func `an answer that does not come is given up`(_ kind: RemoteKind) async throws {
        var limits = TargetBench.limits
        limits.answer = .milliseconds(300)
        try await TargetBench.with(kind, limits: limits) { bench async throws in
            bench.faults.set(fault: .slow)
            let error = await #expect(throws: TargetError.self) { try await bench.target.observe() }
            #expect(error?.kind == .unavailable)
        }
    }

    @Test(arguments: RemoteKind.allCases)
    func `an orchestrator that is away is unavailable until it is back`(_ kind: RemoteKind) async throws {
        let fake = kind.made()
        try await withTemporaryFolder { folder in
            let faults = FakeServer(fake)
            let port = freePort()
            let server = try await TestHTTPServer.start(faults, port: port)
            let target = try kind.target(server.url, folder: folder, limits: TargetBench.limits)
            try TargetBench.token.write(toFile: folder + "/token", atomically: true, encoding: .utf8)
            let seen = try await target.observe()
            try await server.stop()
            let order = ScaleOrder(policy: "orders", seq: 1, term: 1, count: 5, fence: seen.fence, because: "")
            #expect(await failure { _ = try await target.observe() } == .unavailable)
            #expect(await failure { _ = try await target.scale(order) } == .unavailable)
            try await TestHTTPServer.with(faults, port: port) { _ async throws in
                #expect(try await target.observe() == seen)
                #expect(try await target.scale(order).isApplied)
            }
        }
    }

    @Test(arguments: RemoteKind.telling)
    func `changes are hinted at, also after the stream was cut and while others wait`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            try await bench.watching { hints in
                try await eventually("a stream is open") { bench.fake.streams == 1 && hints() >= 1 }
                for _ in 0..<3 {
                    var before = hints()
                    bench.fake.set(bench.fake.desired + 1)
                    try await eventually("a hint of a change") { hints() > before && bench.fake.streams == 1 }
                    before = hints()
                    bench.fake.dropStreams()
                    // What happened while nobody listened is hinted at by the next opening.
                    try await eventually("a hint of a new stream") { hints() > before && bench.fake.streams == 1 }
                }
            }
            try await eventually("the stream is left") { bench.fake.streams == 0 }
        }
    }

    @Test(arguments: RemoteKind.fencing)
    func `behind its guard a target gets through four conflicts within eight polls, and leaves a count that changed`(
        _ kind: RemoteKind
    ) async throws {
        try await TargetBench.with(kind) { bench async throws in
            let guarded = GuardedTarget(bench.target, minimum: 0, maximum: 10)
            let left = Locked(4)
            @Sendable func overtake() {
                let isLeft = left.withLock { left in
                    left -= 1
                    return left >= 0
                }
                if isLeft {
                    bench.fake.set(3)
                    bench.faults.beforeNextWrite { overtake() }
                }
            }
            bench.faults.beforeNextWrite { overtake() }
            var polls = 0
            while bench.fake.desired == 3, polls < 8 {
                polls += 1
                let seen = try await guarded.observe()
                _ = try await guarded.scale(
                    ScaleOrder(policy: "orders", seq: polls, term: 1, count: 99, fence: seen.fence, because: ""))
            }
            #expect(bench.fake.desired == 10)
            let seen = try await guarded.observe()
            bench.faults.beforeNextWrite { [fake = bench.fake] in fake.set(7) }
            let order = ScaleOrder(policy: "orders", seq: 20, term: 1, count: 2, fence: seen.fence, because: "")
            #expect(try await guarded.scale(order).isConflict)
            #expect(bench.fake.desired == 7)
        }
    }

    @Test(arguments: RemoteKind.allCases)
    func `a question ends with its task`(_ kind: RemoteKind) async throws {
        try await TargetBench.with(kind) { bench async throws in
            bench.faults.set(fault: .slow)
            let question = Task { try await bench.target.observe() }
            try await eventually("it is asked") { !bench.faults.requests.isEmpty }
            question.cancel()
            await #expect(throws: TargetError.self) { try await question.value }
        }
    }
}

/// How `body` fails; nil where it does not.
func failure(_ body: () async throws -> Void) async -> TargetError.Kind? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? TargetError)?.kind
    }
}
