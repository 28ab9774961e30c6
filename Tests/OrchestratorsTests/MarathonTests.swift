import Autoscaler
import Foundation
import HTTP
import JSON
import Locking
import Orchestrators
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct MarathonTests {
    static func with(_ path: String = "", _ body: (TargetBench, FakeMarathon) async throws -> Void) async throws {
        let fake = FakeMarathon()
        try await TargetBench.playing(fake) { url, folder in
            try MarathonTarget(address: url + path, app: "shop/orders", tokenFile: folder + "/token", limits: TargetBench.limits)
        } _: { bench in
            try await body(bench, fake)
        }
    }

    @Test func `an account of DC/OS logs in once, and again when its token ends`() async throws {
        try await Self.with("/service/marathon") { bench, fake async throws in
            fake.state.withLock { $0.account = ("carillon", "geheim") }
            try bench.put(token: #"{"uid": "carillon", "password": "geheim"}"#)
            bench.faults.set(token: "login-1")
            for _ in 0..<3 { #expect(try await bench.target.observe().count.desired == 3) }
            #expect(fake.state.withLock { $0.logins } == 1)
            bench.faults.set(token: "login-2")
            #expect(try await bench.scale(5).isApplied)
            #expect(fake.state.withLock { $0.logins } == 2)
            fake.state.withLock { $0.account = ("carillon", "another") }
            bench.faults.set(token: "login-9")
            let error = await #expect(throws: TargetError.self) { try await bench.target.observe() }
            #expect(error?.kind == .unauthorized)
            #expect(error?.message.contains("geheim") == false)
            #expect(error?.message.contains(bench.folder + "/token") == true)
        }
    }

    @Test func `a user with a password is Basic`() async throws {
        try await Self.with { bench, _ async throws in
            bench.faults.set(token: "carillon:geheim")
            try bench.put(token: "carillon:geheim\n")
            #expect(try await bench.target.observe().count.desired == 3)
        }
    }

    @Test func `an app with a health check is ready where it is healthy`() async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { $0.healthy = 1 }
            #expect(try await bench.target.observe().count == InstanceCount(desired: 3, ready: 1, starting: 2))
        }
    }

    @Test func `the queue tells why instances do not start`() async throws {
        try await Self.with { bench, fake async throws in
            fake.place(1)
            func entry(_ app: String, _ more: [JSONMember]) -> JSONValue {
                .object([JSONMember("count", .integer(2)), JSONMember("app", .text(["id": .string(app)]))] + more)
            }
            let offers = JSONValue.text([
                "rejectSummaryLastOffers": .array([
                    .text(["reason": .string("UnfulfilledRole"), "declined": .integer(0), "processed": .integer(9)]),
                    .text(["reason": .string("InsufficientCpus"), "declined": .integer(7), "processed": .integer(9)]),
                ])
            ])
            let delay = JSONValue.text(["timeLeftSeconds": .integer(30), "overdue": .boolean(false)])
            fake.state.withLock { state in
                state.queue = [
                    entry("/other", [JSONMember("delay", delay)]),
                    entry("/shop/orders", [JSONMember("delay", delay), JSONMember("processedOffersSummary", offers)]),
                ]
            }
            let pending = try await bench.target.observe().pending
            #expect(pending?.contains("30 s") == true)
            #expect(pending?.contains("InsufficientCpus (7)") == true)
            #expect(pending?.contains("UnfulfilledRole") == false)
            // Not to know why is no reason not to know how many.
            fake.state.withLock { $0.queue = [.string("garbage")] }
            #expect(try await bench.target.observe().pending == nil)
        }
    }

    @Test func `too many deployments of others lock as one of ours does`() async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { $0.isFull = true }
            #expect(try await bench.scale(5).isLocked)
            fake.state.withLock { $0.isFull = false }
            #expect(try await bench.scale(5) == .applied(reference: "deployment 5ed4c0c5"))
            #expect(!bench.faults.requests.contains { $0.query.contains("force") })
        }
    }

    @Test func `what happens to other apps is no hint`() async throws {
        try await Self.with { bench, fake async throws in
            try await bench.watching { hints in
                try await eventually("a stream") { fake.streams == 1 && hints() >= 2 }
                let before = hints()
                for _ in 0..<20 { fake.disturb() }
                fake.place(2)
                try await eventually("a hint") { hints() > before }
                #expect(hints() == before + 1)
            }
        }
    }

    @Test(arguments: ["", "/", "/a/../b"]) func `what is no app is refused at once`(_ app: String) {
        #expect(throws: TargetError.self) { try MarathonTarget(address: "http://h:8080", app: app) }
    }
}
