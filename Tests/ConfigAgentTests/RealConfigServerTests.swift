import Bus
import ConfigAgent
import ConfigModel
import ConfigRepositories
import ConfigServer
import HTTP
import FoundationEssentials
import TestSupport
import Testing

/// The agent beside the configuration server itself, on a folder.
@Suite(.timeLimit(.minutes(2)))
struct RealConfigServerTests {
    @Test func `a change in the server's folder arrives, with the version and the hash that the server has`() async throws {
        try await withTemporaryFolder { folder in
            func write(_ name: String, _ text: String) throws {
                try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
            }
            try write("application.yml", "pool: {size: 8}\nurl: http://${host:localhost}:${pool.size}/\n")
            let repository = FolderRepository(FolderRepository.Settings(locations: [folder]), parsed: ParsedFiles())
            try await repository.refresh()
            var router = Router()
            ConfigRoutes(repository, changing: [repository]).install(in: &router)
            try await AgentBench.with([:], handler: router) { configuration, folder in
                configuration.files = [RenderedFile(.environment, path: folder + "/env")]
            } _: { bench in
                try await eventually { bench.read("env") == "POOL_SIZE=8\nURL=http://localhost:8/\n" }
                try write("orders-default.properties", "pool.size=9\nhost=db\n")
                let change = try #require(try await repository.refresh().first)
                try await bench.publisher.refresh("orders", details: RefreshDetails(version: change.to))
                try await eventually { bench.receipts.contains(.applied, version: change.to) }
                #expect(bench.read("env") == "HOST=db\nPOOL_SIZE=9\nURL=http://db:9/\n")
                let served = try await repository.environment(for: .init(applications: ["orders"], profiles: ["default"]))
                #expect(bench.agent.running?.hash == served.contentHash)
                #expect(bench.receipts.all.last { $0.outcome == .applied }?.running.hash == served.contentHash)

                try write("other.yml", "a: 1\n")
                let second = try #require(try await repository.refresh().first)
                try await bench.publisher.refresh("orders", details: RefreshDetails(version: second.to))
                try await eventually { bench.receipts.contains(.unchanged, version: second.to) }

                try await bench.publisher.refresh("orders", details: RefreshDetails(version: "0123456789"))
                try await eventually("a version that nobody has is a failure") {
                    bench.receipts.all.contains { $0.outcome == .failed && $0.running.version == second.to }
                }
            }
        }
    }
}
