import ConfigClient
import Files
import Foundation
import Testing
import ThreadExecutor

struct LastKnownGoodTests {
    private let disk = ThreadExecutor(name: "test-disk")
    private let record = LastKnownGood.Record(body: Array("{\"x\":1}\nsecond line".utf8), entityTag: "\"tag\"", savedAt: 42)

    private func cache(_ folder: String, _ application: String = "app") -> LastKnownGood {
        LastKnownGood(folder: folder, application: application, profiles: ["a", "b"], label: "main", disk: disk)
    }

    @Test func `what was saved is loaded, from a file closed to others`() async throws {
        defer { disk.stop() }
        try await withFolder { folder in
            let cache = cache(folder + "/deep/er")
            #expect(try await cache.load() == nil)
            try await cache.save(record)
            let loaded = try #require(try await cache.load())
            #expect(loaded.body == record.body && loaded.entityTag == "\"tag\"" && loaded.savedAt == 42)
            let attributes = try FileManager.default.attributesOfItem(atPath: cache.path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/deep/er").count == 1, "no temporary file stays")
        }
    }

    @Test func `a file with any byte changed is refused`() async throws {
        defer { disk.stop() }
        try await withFolder { folder in
            let cache = cache(folder)
            try await cache.save(record)
            let good = try Data(contentsOf: URL(fileURLWithPath: cache.path))
            for index in stride(from: 0, to: good.count, by: 7) {
                var bad = good
                bad[index] ^= 0x15
                try PrivateFile.write(Array(bad), to: cache.path, mode: 0o600)
                await #expect(throws: (any Error).self, "byte \(index)") { try await cache.load() }
            }
            try PrivateFile.write(Array(good.prefix(good.count - 1)), to: cache.path, mode: 0o600)
            await #expect(throws: LastKnownGood.Refusal.self) { try await cache.load() }
            try PrivateFile.write([], to: cache.path, mode: 0o600)
            await #expect(throws: LastKnownGood.Refusal.self) { try await cache.load() }
        }
    }

    @Test func `a file of another application, open to others or no file is refused`() async throws {
        defer { disk.stop() }
        try await withFolder { folder in
            let (mine, other) = (cache(folder), cache(folder, "other"))
            #expect(mine.path != other.path)
            try await other.save(record)
            try FileManager.default.copyItem(atPath: other.path, toPath: mine.path)
            await #expect(throws: LastKnownGood.Refusal.self) { try await mine.load() }
            try await mine.save(record)
            chmod(mine.path, 0o644)
            await #expect(throws: LastKnownGood.Refusal.self) { try await mine.load() }
            try FileManager.default.removeItem(atPath: mine.path)
            try FileManager.default.createSymbolicLink(atPath: mine.path, withDestinationPath: other.path)
            await #expect(throws: LastKnownGood.Refusal.self) { try await mine.load() }
        }
    }
}
