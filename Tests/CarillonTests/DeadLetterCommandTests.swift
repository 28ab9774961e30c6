import Foundation
import Testing
import TestSupport

/// `carillon dlq` on a server and on a broker itself.
@Suite(.timeLimit(.minutes(3))) struct DeadLetterCommandTests {
    /// Publishes an event for each text and has group `mail` give it up, through the server at `url`.
    private func bury(_ texts: [String], _ url: String) async throws {
        _ = try await curl("-X", "PUT", url + "/channels/invoices/groups/mail")
        for text in texts {
            _ = try await curl(
                "-d", text, "-H", "Content-Type: text/plain", "-H", "carillon-tenant: \(text.prefix(1))", url + "/channels/invoices")
        }
        var left = texts.count
        while left > 0 {
            let pulled = try await curl("-X", "POST", url + "/channels/invoices/groups/mail/pull?max=\(left)&wait=20s")
            let object = try #require(try JSONSerialization.jsonObject(with: Data(pulled.utf8)) as? [String: [[String: Any]]])
            let tokens = try #require(object["deliveries"]).compactMap { $0["token"] as? String }
            let entries = tokens.map { "{\"token\":\"\($0)\",\"reason\":{\"message\":\"no\\ngood\",\"kind\":\"Bad\"}}" }.joined(
                separator: ",")
            _ = try await curl("-d", "{\"reject\":[\(entries)]}", url + "/channels/invoices/groups/mail/settle")
            left -= tokens.count
        }
    }

    private func curl(_ arguments: String...) async throws -> String {
        try await Running.shell("curl -sS --fail-with-body \"$@\"", arguments)
    }

    private func ids(_ table: String) -> [String] {
        table.split(separator: "\n").dropFirst().compactMap { $0.split(separator: " ").first.map(String.init) }
    }

    @Test func `dead letters are listed, shown, replayed to their group and dropped, at the embedded broker`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["application.yml": "a: b\n"])
            try await PropagationTests.withServer(folder) { _, url in
                let none = try await Running.run(["dlq", "list", "--server", url])
                #expect(none.code == 0 && none.output == "no group has dead letters\n")
                try await bury(["alpha", "beta", "aleph"], url)
                let groups = try await Running.run(["dlq", "list", "--server", url])
                #expect(groups.output.split(separator: "\n").last?.split(separator: " ") == ["invoices", "mail", "3"])
                try await actions(["--server", url])
            }
        }
    }

    @Test(.enabled(if: RabbitMQServer.isInstalled, Comment(rawValue: RabbitMQServer.whyNot)))
    func `the same over RabbitMQ, by the server and directly`() async throws { try await both(try await RabbitMQServer.shared().uri) }

    @Test(.enabled(if: RedisServer.isInstalled, Comment(rawValue: RedisServer.whyNot)))
    func `the same over Redis, by the server and directly`() async throws {
        try await both(try await RedisServer.shared().uri, tellsGroups: true)
    }

    @Test(.enabled(if: KafkaServer.isAvailable, Comment(rawValue: KafkaServer.whyNot)))
    func `the same over Kafka, by the server and directly`() async throws {
        try await both("kafka://" + (try await KafkaServer.shared().bootstrap))
    }

    private func both(_ broker: String, tellsGroups: Bool = false) async throws {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["application.yml": "a: b\n"])
            try await PropagationTests.withServer(folder, arguments: ["--binder", broker]) { _, url in
                try await bury(["alpha", "beta", "aleph"], url)
                try await actions(["--server", url])
                try await bury(["alpha", "beta", "aleph"], url)
                try await actions(["--binder", broker])
                let groups = try await Running.run(["dlq", "list", "--server", url])
                if tellsGroups {
                    #expect(groups.code == 0 && !groups.output.contains("invoices"), "\(groups)")
                } else {
                    #expect(groups.code == 1 && groups.errors.contains("cannot tell which groups"), "\(groups)")
                }
            }
        }
    }

    /// On `alpha`, `beta`, `aleph`, given up side by side; nothing is left.
    private func actions(_ where: [String]) async throws {
        let group = ["invoices", "--group", "mail"] + `where`
        let list = try await Running.run(["dlq", "list"] + group)
        #expect(list.code == 0 && ids(list.output).count == 3 && list.output.contains("Bad: no good"), "\(list)")
        #expect(!list.output.contains("alpha") && !list.output.contains("beta"))
        let chosen = try await Running.run(["dlq", "list"] + group + ["--header", "carillon-tenant=b", "--since", "1h", "--json"])
        #expect(chosen.output.contains("\"carillon-tenant\":\"b\"") && !chosen.output.contains("payload"))
        let late = try await Running.run(["dlq", "list"] + group + ["--until", "1h"])
        #expect(late.output == "no dead letters\n")
        let beta = try #require(ids(try await Running.run(["dlq", "list"] + group + ["--header", "carillon-tenant=b"]).output).first)
        let shown = try await Running.run(["dlq", "show"] + group + ["--id", beta])
        #expect(shown.code == 0 && shown.output.hasSuffix("payload:   4 bytes of text\nbeta\n"), "\(shown)")
        #expect(shown.output.contains("header:    carillon-tenant=b\n"))
        let missing = try await Running.run(["dlq", "show"] + group + ["--id", "999"])
        #expect(missing.code == 1 && missing.errors.contains("999"))

        let replayed = try await Running.run(["dlq", "replay"] + group + ["--header", "Carillon-Tenant=a", "--yes"])
        #expect(replayed.code == 0 && replayed.output == "replayed 2 dead letters of group mail of invoices\n", "\(replayed)")
        let again = try await Running.run(["subscribe"] + group + ["--count", "2", "--json"])
        let events = again.output.split(separator: "\n").compactMap {
            try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
        #expect(events.compactMap { $0["payload"] as? String }.sorted() == ["aleph", "alpha"], "\(again)")
        #expect(events.allSatisfy { $0["headers"] as? [String: String] == ["carillon-tenant": "a"] })
        let dropped = try await Running.run(["dlq", "drop"] + group + ["--id", beta, "--json"])
        #expect(dropped.code == 0 && dropped.output == "{\"dropped\":1}\n", "\(dropped)")
        let gone = try await Running.run(["dlq", "drop"] + group + ["--id", beta])
        #expect(gone.code == 1 && gone.output == "dropped 0 dead letters of group mail of invoices\n", "\(gone)")
    }
}
