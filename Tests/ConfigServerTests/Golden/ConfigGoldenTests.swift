import ConfigModel
import ConfigRepositories
import ConfigServer
import Foundation
import HTTP
import Testing

/// Plays the recorded corpus of the original config server against our router, as values.
struct ConfigGoldenTests {
    @Test(arguments: GoldenCase.all) func `a recorded case is answered as the original answers it`(golden: GoldenCase) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("carillon-golden-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let root = URL(fileURLWithPath: folder.path).resolvingSymlinksInPath().appendingPathComponent("root")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let server: GoldenServer
        do {
            try GoldenRepositories(source: golden.folder.appendingPathComponent("repos"), root: root).make()
            server = try GoldenServer(golden, root: root, data: folder.appendingPathComponent("data"))
        } catch let later as GoldenServer.LeftForLater {
            print("golden config \(golden.name): left for later, \(later.reason)")
            return
        }
        defer { server.end() }
        var phase = 1
        var passed = 0
        var quirks = 0
        var failures: [String] = []
        for request in golden.requests {
            while phase < request.phase {
                phase += 1
                try GoldenRepositories(source: golden.folder.appendingPathComponent("repos"), root: root).make(phase: phase)
                try await server.refresh()
            }
            let got = await server.answer(request)
            if request.isQuirk {
                quirks += 1
                continue
            }
            let comparison = GoldenComparison(request: request)
            let differences = try golden.answers(to: request).map { comparison.differences($0, got) }
            if differences.contains([]) {
                passed += 1
            } else {
                failures.append(
                    "\(request.id) \(request.method) \(request.path)\n    "
                        + (differences.first ?? ["no answer is recorded"]).joined(separator: "\n    "))
            }
        }
        print("golden config \(golden.name): \(passed) passed, \(failures.count) failed, \(quirks) quirks not judged")
        #expect(failures.isEmpty, "\(golden.name):\n\(failures.joined(separator: "\n"))")
    }

    @Test func `there is a corpus to play`() { #expect(!GoldenCase.all.isEmpty) }
}
