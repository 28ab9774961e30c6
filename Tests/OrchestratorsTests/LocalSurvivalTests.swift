import Foundation
import Glibc
import TestSupport
import Testing

/// Servers that are killed, with real workers: none is lost, none is started twice, and there are never more than the maximum.
@Suite(.timeLimit(.minutes(10))) struct LocalSurvivalTests {
    @Test func `workers outlive a killed server, and the next one takes them over`() async throws {
        try await LocalScene.with(LocalScene.modest(places: 4)) { scene in
            let first = try LocalKeeper(scene, maximum: 4)
            try await first.untilReady()
            try await first.ordered(3)
            try await eventually("three workers") { scene.lines("started").count == 3 }
            let workers = scene.workers
            #expect(workers.count == 3)
            try await first.crash()
            #expect(scene.workers == workers)

            // One of them ends while nobody looks.
            let gone = try #require(workers.min())
            kill(-gone, SIGKILL)
            try await eventually("its end") { scene.workers.count == 2 }
            let second = try LocalKeeper(scene, maximum: 4)
            try await second.untilReady()
            try await eventually("a new one in its place") { scene.lines("started").count == 4 && scene.workers.count == 3 }
            #expect(workers.subtracting([gone]).isSubset(of: scene.workers))
            // The name is free again, and no other is used.
            #expect(Set(scene.lines("started")) == ["orders-1", "orders-2", "orders-3"])

            try await second.ordered(1)
            try await eventually("two have left") { scene.workers.count == 1 }
            try await second.end()
            #expect(second.status == 0 && scene.workers.isEmpty && scene.text("violations") == "")

            // What was ended in order does not come again unasked.
            let third = try LocalKeeper(scene, maximum: 4)
            try await third.untilReady()
            try await third.ordered(1)
            try await eventually("one worker") { scene.lines("started").count == 5 }
            try await third.end()
        }
    }

    @Test func `those that were leaving when their server was killed leave, and keep their deadline`() async throws {
        let stubborn = "cd \"$SCENE\"; trap 'echo told >>told' TERM; echo x >>started; while :; do sleep 1000 & wait $!; done"
        try await LocalScene.with(stubborn) { scene in
            let first = try LocalKeeper(scene, maximum: 2, drain: 5)
            try await first.untilReady()
            try await first.ordered(2)
            try await eventually("two workers") { scene.lines("started").count == 2 }
            try await first.ordered(1)
            try await eventually("the signal") { scene.text("told") == "told\n" }
            try await first.crash()
            #expect(scene.workers.count == 2)
            let second = try LocalKeeper(scene, maximum: 2, drain: 100_000)
            try await second.untilReady()
            try await eventually("it is killed in time") { scene.workers.count == 1 }
            // A second signal many take for an order to leave at once.
            #expect(scene.text("told") == "told\n" && scene.lines("started").count == 2)
            try await second.crash()
        }
    }

    @Test func `two servers do not supervise the same workers`() async throws {
        try await LocalScene.with(LocalScene.modest(places: 2)) { scene in
            let first = try LocalKeeper(scene, maximum: 2)
            try await first.untilReady()
            try await first.ordered(2)
            let second = try LocalKeeper(scene, maximum: 2)
            try await eventually("the refusal") { !second.isRunning && second.said.contains { $0.hasPrefix("failed") } }
            #expect(second.status == 1 && second.said.contains { $0.contains("another server (process ") && $0.contains("orders.lock") })
            try await eventually("two workers") { scene.lines("started").count == 2 && scene.workers.count == 2 }
            try await first.end()
            #expect(scene.workers.isEmpty)
        }
    }

    /// Killed again and again, at any moment of starting and ending workers.
    @Test(arguments: 0..<4) func `a server killed at any moment loses no worker`(seed: UInt64) async throws {
        try await LocalScene.with(LocalScene.modest(places: 4)) { scene in
            var random = SplitMix(state: seed)
            for _ in 0..<6 {
                let keeper = try LocalKeeper(scene, maximum: 4)
                try await keeper.untilReady()
                for _ in 0..<Int.random(in: 1...6, using: &random) { keeper.order(Int.random(in: 0...4, using: &random)) }
                try await Task.sleep(for: .microseconds(Int.random(in: 0...30_000, using: &random)))  // a moment like any other
                try await keeper.crash()
            }
            let last = try LocalKeeper(scene, maximum: 4)
            try await last.untilReady()
            try await last.ordered(3)
            try await eventually("three workers, and no other") { scene.workers.count == 3 }
            #expect(scene.text("violations") == "")
            try await last.end()
            #expect(last.status == 0 && scene.workers.isEmpty)
        }
    }
}
