import Autoscaler
import Foundation
import JSON
import TestSupport
import Testing

@testable import Orchestrators

@Suite(.timeLimit(.minutes(5))) struct ExecTargetTests {
    private static let environment = ["PATH": "/usr/bin:/bin"]
    private static let order = ScaleOrder(policy: "orders", seq: 17, term: 3, count: 5, fence: "7", because: "more \"come\"")

    private static func target(_ script: String, _ more: [String: String] = [:], limit: Duration = .seconds(60)) -> ExecTarget {
        ExecTarget(policy: "orders", command: ["sh", "-c", script], environment: environment.merging(more) { $1 }, limit: limit)
    }

    @Test func `is told what to do on its standard input and in its environment`() async throws {
        try await withTemporaryFolder { folder in
            let target = Self.target(
                """
                cat >"$F/$CARILLON_DO"; env | grep ^CARILLON_ | sort >"$F/env-$CARILLON_DO"
                if [ $CARILLON_DO = observe ]; then echo '{"desired":4,"ready":3,"fence":7,"pending":"no room"}'; else echo '{"reference":"r1"}'; fi
                """, ["F": folder])
            let observation = try await target.observe()
            #expect(observation == TargetObservation(InstanceCount(desired: 4, ready: 3, starting: 1), fence: "7", pending: "no room"))
            #expect(try await target.scale(Self.order) == .applied(reference: "r1"))
            func text(_ name: String) throws -> String {
                try String(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"), encoding: .utf8)
            }
            #expect(try text("observe") == #"{"do":"observe","policy":"orders"}"# + "\n")
            #expect(
                try text("scale")
                    == #"{"do":"scale","policy":"orders","id":"orders/3/17","term":3,"seq":17,"count":5,"fence":"7","because":"more \"come\""}"#
                    + "\n")
            #expect(try text("env-observe") == "CARILLON_DO=observe\nCARILLON_POLICY=orders\n")
            #expect(
                try text("env-scale")
                    == "CARILLON_COUNT=5\nCARILLON_DO=scale\nCARILLON_FENCE=7\nCARILLON_ORDER=orders/3/17\nCARILLON_POLICY=orders\n")
        }
    }

    @Test(arguments: [
        ("exit 0", ScaleResult.applied(reference: nil)), ("exit 10", .unchanged), ("echo it is 9 >&2; exit 11", .conflict("it is 9")),
        ("exit 11", .conflict("somebody else wrote since the last look")), ("echo busy >&2; exit 12", .locked("busy")),
        ("echo '{\"after\": 2.5}'; exit 13", .throttled(after: 2.5)), ("echo '{\"after\": -1}'; exit 13", .throttled(after: nil)),
        ("exit 13", .throttled(after: nil)), ("echo no JSON", .applied(reference: nil)),
    ])
    func `its status tells what became of an order`(script: String, result: ScaleResult) async throws {
        #expect(try await Self.target(script).scale(Self.order) == result)
    }

    @Test(arguments: [
        ("exit 65", TargetError.Kind.rejected, "65"), ("exit 78", .rejected, "78"), ("exit 66", .notFound, "66"),
        ("exit 77", .unauthorized, "77"),
        ("echo first >&2; echo last >&2; exit 1", .unavailable, "ended with status 1: last"), ("kill -9 $$", .unavailable, "signal 9"),
        ("no-such-program", .rejected, "127"),
    ])
    func `other ends are errors that say what it said`(script: String, kind: TargetError.Kind, text: String) async throws {
        for look in [true, false] {
            let error = await #expect(throws: TargetError.self) {
                if look { _ = try await Self.target(script).observe() } else { _ = try await Self.target(script).scale(Self.order) }
            }
            #expect(error?.kind == kind && error?.message.contains(text) == true, "\(String(describing: error))")
            #expect(error?.message.contains(look ? "the look" : "the order") == true)
        }
    }

    @Test(arguments: [
        "", "no", "{}", "{\"desired\":3}", "{\"ready\":3}", "{\"desired\":-1,\"ready\":0}", "{\"desired\":1.5,\"ready\":0}",
        "{\"desired\":\"3\",\"ready\":0}", "{\"desired\":null,\"ready\":0}", "{\"desired\":1e9,\"ready\":0}", "[3,3]",
    ])
    func `what does not tell the count is an error and never zero`(answer: String) async throws {
        let error = await #expect(throws: TargetError.self) { try await Self.target("printf '%s' '\(answer)'").observe() }
        #expect(error?.kind == .unavailable)
    }

    @Test func `a program that is not there is named`() async throws {
        let target = ExecTarget(policy: "orders", command: ["/no/such/program"], environment: Self.environment)
        let error = await #expect(throws: TargetError.self) { try await target.observe() }
        #expect(
            error?.kind == .rejected && error?.message.contains("/no/such/program") == true && error?.message.contains("`command`") == true)
    }

    @Test func `one that does not end, or writes without end, is killed with its children`() async throws {
        try await LocalScene.with("") { scene in
            let scripts = [
                ("echo x >\"$SCENE/started\"; sleep 1000 & sleep 1000", "did not end"),
                ("sleep 1000 & while :; do echo 0123456789012345678901234567890123456789; done", "more than 65536 bytes"),
                ("sleep 1000 & yes >&2", "did not end"),
            ]
            for (script, text) in scripts {
                let target = Self.target(
                    script, ["SCENE": scene.folder], limit: text == "did not end" ? .milliseconds(500) : .seconds(100_000))
                let error = await #expect(throws: TargetError.self) { try await target.scale(Self.order) }
                #expect(error?.kind == .unavailable && error?.message.contains(text) == true)
                try await eventually("its end") { scene.isEmpty }
            }
        }
    }

    @Test func `cancelled, it is killed`() async throws {
        try await LocalScene.with("") { scene in
            let target = Self.target(
                "echo x >\"$SCENE/started\"; sleep 1000 & sleep 1000", ["SCENE": scene.folder], limit: .seconds(100_000))
            let task = Task { try await target.observe() }
            try await eventually("its start") { !scene.lines("started").isEmpty }
            task.cancel()
            await #expect(throws: TargetError.self) { try await task.value }
            try await eventually("its end") { scene.isEmpty }
        }
    }

    @Test func `the example for systemd does what it says`() async throws {
        try await withTemporaryFolder { folder in
            // Units are files.
            let systemctl = """
                #!/bin/sh
                cd "$UNITS"
                case $1 in
                  list-units)
                    case $* in
                      *--state=activating*) ;;
                      *) for unit in *; do [ -e "$unit" ] && echo "$unit loaded active running a worker"; done ;;
                    esac ;;
                  start) touch "$3" ;;
                  stop) rm -f "$3" ;;
                  *) exit 1 ;;
                esac
                exit 0
                """
            try FileManager.default.createDirectory(atPath: "\(folder)/units", withIntermediateDirectories: true)
            try Data(systemctl.utf8).write(to: URL(fileURLWithPath: "\(folder)/systemctl"))
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: "\(folder)/systemctl")
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            let target = ExecTarget(
                policy: "orders", command: [root.appendingPathComponent("deploy/examples/scaling/systemd-target").path, "worker"],
                environment: ["PATH": "\(folder):/usr/bin:/bin", "UNITS": "\(folder)/units"], limit: .seconds(60))
            func units() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: "\(folder)/units").sorted() }
            #expect(try await target.observe().count == InstanceCount(desired: 0, ready: 0, starting: 0))
            for count in [3, 3, 1, 2, 0] {
                var order = Self.order
                order.count = count
                #expect(try await target.scale(order) == .applied(reference: nil))
                #expect(try units() == (0..<count).map { "worker@\($0 + 1).service" })
                #expect(try await target.observe().count == InstanceCount(desired: count, ready: count, starting: 0))
            }
        }
    }
}
