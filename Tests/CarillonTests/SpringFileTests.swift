import Foundation
import Testing
import TestSupport

/// The original server's own settings file, taken as it is.
@Suite(.timeLimit(.minutes(2))) struct SpringFileTests {
    @Test func `it serves what the file says, names what it ignores, and warns of open doors`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["orders.yml": "a: 1\n"])
            try folder.write(
                "application.yml",
                """
                server: {port: 0, address: 127.0.0.1}
                spring:
                  cloud:
                    config: {server: {git: {uri: "file://\(folder.path)/config"}, prefix: /config}}
                    bus: {enabled: false}
                logging: {level: {root: info}}
                """)
            let arguments = ["serve", "--spring-config", folder.path + "/application.yml", "--data", folder.path + "/data"]
            try await Running.with(arguments) { server in
                let port = try await server.logged("serving", field: "port")
                #expect(try await server.logged("a setting is ignored", field: "key") == "logging.level.root")
                #expect(
                    try await Running.run(["get", "orders", "--key", "a", "--server", "http://127.0.0.1:\(port)/config"]).output == "1\n")
            }
        }
    }

    @Test func `a key that is not supported stops the start by its name`() async throws {
        try await TemporaryFolder.with { folder in
            try folder.write(
                "application.properties",
                "spring.cloud.config.server.git.uri=x\nspring.cloud.config.server.vault.host=v\nspring.profiles.active=vault\n")
            let (code, _, errors) = try await Running.run(["serve", "--spring-config", folder.path + "/application.properties"])
            #expect(code == 2)
            #expect(errors.contains("`vault`"), "\(errors)")
        }
    }

    @Test func `the original's user stands before every answer, also one that is at hand`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["orders.yml": "a: 1\n"])
            try folder.write(
                "application.properties",
                """
                server.port=0
                server.address=127.0.0.1
                spring.cloud.config.server.git.uri=file://\(folder.path)/config
                spring.security.user.name=me
                spring.security.user.password=pw
                """)
            let arguments = ["serve", "--spring-config", folder.path + "/application.properties", "--data", folder.path + "/data"]
            try await Running.with(arguments) { server in
                let port = try await server.logged("serving", field: "port")
                for _ in 1...3 {
                    #expect(
                        try await Running.run(["get", "orders", "--key", "a", "--server", "http://me:pw@127.0.0.1:\(port)"]).output == "1\n"
                    )
                    let refused = try await Running.run(["get", "orders", "--key", "a", "--server", "http://127.0.0.1:\(port)"])
                    #expect(refused.errors.contains("401"), "\(refused)")
                }
            }
        }
    }
}
