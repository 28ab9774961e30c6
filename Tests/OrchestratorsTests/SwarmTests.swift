import Autoscaler
import Foundation
import HTTP
import HTTPServer
import JSON
import Locking
import Orchestrators
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct SwarmTests {
    static func with(_ body: (TargetBench, FakeSwarm) async throws -> Void) async throws {
        let fake = FakeSwarm()
        try await TargetBench.playing(fake) { url, _ in
            try SwarmTarget(
                address: "tcp://" + url.dropFirst("http://".count), service: "orders", certificates: nil, limits: TargetBench.limits)
        } _: { bench in
            try await body(bench, fake)
        }
    }

    @Test(arguments: [
        (#"{"Replicated":{ "Replicas": 3 }}"#, #"{"Replicated":{ "Replicas": 40 }}"#),
        (#"{"Replicated":{"Replicas":3e0,"Later":[1.0]}}"#, #"{"Replicated":{"Replicas":40,"Later":[1.0]}}"#),
        (#"{ "Replicated" : {} }"#, #"{ "Replicated" : {"Replicas":40} }"#),
        (#"{"Replicated":{"Replicas":0},"Why":{"Replicas":7}}"#, #"{"Replicated":{"Replicas":40},"Why":{"Replicas":7}}"#),
    ])
    func `every byte of a specification but its one number goes back as it came`(_ before: String, _ after: String) async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { $0.spec = Array(FakeSwarm.spec(before).utf8) }
            #expect(try await bench.scale(40).isApplied)
            let sent = try #require(bench.faults.requests.last { $0.method == "POST" })
            #expect(String(decoding: sent.body, as: UTF8.self) == FakeSwarm.spec(after))
            #expect(sent.parameter("registryAuthFrom") == "spec")
            #expect(sent.rawPath == "/v1.41/services/0ike1ma1/update")
        }
    }

    @Test(arguments: [#"{"Global":{}}"#, #"{"ReplicatedJob":{"MaxConcurrent":1,"TotalCompletions":1}}"#, #"{"GlobalJob":{}}"#, "{}"])
    func `a service without a count is rejected with the remedy`(_ mode: String) async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { $0.spec = Array(FakeSwarm.spec(mode).utf8) }
            let error = await #expect(throws: TargetError.self) { try await bench.target.observe() }
            #expect(error?.kind == .rejected)
            #expect(error?.message.contains("--mode replicated") == true)
            #expect(await failure { _ = try await bench.target.scale(bench.order(5, nil)) } == .rejected)
        }
    }

    @Test(arguments: [
        #"{"Replicated":{"Replicas":-1}}"#, #"{"Replicated":{"Replicas":"3"}}"#, #"{"Replicated":{"Replicas":null}}"#,
        #"{"Replicated":{"Later":1}}"#,
    ])
    func `a count that is none is unknown`(_ mode: String) async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { $0.spec = Array(FakeSwarm.spec(mode).utf8) }
            #expect(await failure { _ = try await bench.target.observe() } == .unavailable)
        }
    }

    @Test func `a task that finds no node says so`() async throws {
        try await Self.with { bench, fake async throws in
            fake.place(2)
            fake.state.withLock { $0.trouble = "no suitable node (insufficient resources on 1 node)" }
            #expect(
                try await bench.target.observe().pending == "pending: no suitable node (insufficient resources on 1 node)")
        }
    }

    @Test func `a node that is no manager is unavailable, with the remedy`() async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { $0.isManager = false }
            let error = await #expect(throws: TargetError.self) { try await bench.target.observe() }
            #expect(error?.kind == .unavailable)
            #expect(error?.message.contains("manager") == true)
        }
    }

    @Test func `an engine that was exchanged for one of another version is spoken to in that`() async throws {
        try await Self.with { bench, fake async throws in
            _ = try await bench.target.observe()
            fake.state.withLock { $0.version = "1.52" }
            #expect(await failure { _ = try await bench.target.observe() } == .rejected)
            #expect(try await bench.target.observe().count.desired == 3)
            #expect(bench.faults.requests.count { $0.path == ["_ping"] } == 2)
        }
    }

    @Test(arguments: ["", "unix://docker.sock", "unix:docker.sock", "docker:2375", "tcp://"])
    func `what is no address is refused at once`(_ address: String) {
        let error = #expect(throws: TargetError.self) { try SwarmTarget(address: address, service: "orders", certificates: nil) }
        #expect(error?.kind == .rejected)
    }

    @Test func `an engine behind TLS is shown what Docker's own client would show`() async throws {
        try await TestCertificates.with { certificates in
            func text(_ name: String) throws -> String { try String(contentsOfFile: certificates.path(name), encoding: .utf8) }
            let tls = HTTPServerTLS(certificate: try text("server.pem"), key: try text("server.key"), clientCA: try text("ca.pem"))
            for (from, to) in [("client.pem", "cert.pem"), ("client.key", "key.pem")] {
                try FileManager.default.copyItem(atPath: certificates.path(from), toPath: certificates.path(to))
            }
            try await TestHTTPServer.with(FakeServer(FakeSwarm()), tls: tls) { server in
                let target = try SwarmTarget(
                    address: "tcp://127.0.0.1:\(server.port)", service: "orders", certificates: certificates.folder.path,
                    limits: TargetBench.limits)
                #expect(try await target.observe().count.desired == 3)
            }
        }
    }
}
