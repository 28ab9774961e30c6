import Foundation
import HTTP
import JSON
import Lifecycle
import Roles
import Telemetry
import TestSupport
import Testing

/// What the business tells scaling policies by the configuration that the server itself serves.
@Suite struct ServedParametersTests {
    @Test func `a changed file changes what a policy wants, and the bus outranks it until it is taken back`() async throws {
        try await withTemporaryFolder { folder in
            func serve(crowd: String) throws {
                try "crowd: \(crowd)\n".write(toFile: "\(folder)/config/config-server.yml", atomically: true, encoding: .utf8)
            }
            try FileManager.default.createDirectory(atPath: folder + "/config", withIntermediateDirectories: true)
            try serve(crowd: "30")
            try """
            data: \(folder)/data
            repositories: [{folder: \(folder)/config}]
            scaling:
              poll: 1s
              parameters: {crowd: 10}
              policies:
                hall: {max: 50, conditions: [{parameter: {value: crowd, per-instance: 10}}], instance: {rate: 1, start: 1s}}
            """.write(toFile: folder + "/carillon.yaml", atomically: true, encoding: .utf8)
            let role = try ServerPlan(file: folder + "/carillon.yaml", environment: [:], commandLine: ["server.port": "0"]).role(
                log: .silent)
            let shutdown = ShutdownSignal()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await role.run(ServiceLife(shutdown: shutdown)) }
                defer { shutdown.request() }
                func answer(_ method: String, _ target: String) async throws -> HTTPResponse {
                    await role.router.respond(to: try #require(HTTPRequest(method, target)))
                }
                /// What the policy's condition asks for, in its last decision.
                func floor() async throws -> String? {
                    let decision = try JSONReader.read(Array(try await answer("GET", "/scaling/hall").text?.utf8 ?? "".utf8))
                    guard case .array(let conditions)? = (decision["decision"] ?? decision)["conditions"] else { return nil }
                    guard case .number(let digits)? = conditions.first?["floor"] else { return nil }
                    return digits
                }
                try await eventually("three for the 30 of the file") { try await floor() == "3" }
                try serve(crowd: "70")
                try await eventually("seven for the 70 of the file") { try await floor() == "7" }
                #expect(try await answer("POST", "/bus/env?crowd=20").status == 200)
                try await eventually("two for the 20 on the bus") { try await floor() == "2" }
                #expect(try await answer("POST", "/bus/env?crowd=").status == 200)
                try await eventually("seven again") { try await floor() == "7" }
                try FileManager.default.removeItem(atPath: folder + "/config/config-server.yml")
                try await eventually("one for the 10 of the settings") { try await floor() == "1" }
                shutdown.request()
                try await tasks.waitForAll()
            }
        }
    }
}
