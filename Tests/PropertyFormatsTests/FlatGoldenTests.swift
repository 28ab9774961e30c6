import ConfigModel
import ConfigRepositories
import JSON
import PropertyFormats
import TestSupport
import Testing

/// Environments that were recorded as JSON, written in the flat forms, beside what the original wrote for the same audience.
@Suite struct FlatGoldenTests {
    private struct FlatRequest {
        var application: String
        var profiles: String
        var label: String?
        var ending: String

        /// `/app-profiles.ending` or `/label/app-profiles.ending`.
        init?(_ path: String) {
            let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
            guard (1...2).contains(segments.count), let name = segments.last, let dot = name.lastIndex(of: ".") else { return nil }
            ending = String(name[name.index(after: dot)...])
            guard ["yml", "yaml", "json", "properties"].contains(ending), let hyphen = name[..<dot].lastIndex(of: "-") else { return nil }
            application = String(name[..<hyphen])
            profiles = String(name[name.index(after: hyphen)..<dot])
            guard !application.isEmpty, !profiles.isEmpty else { return nil }
            label = segments.count == 2 ? segments[0].replacing("(_)", with: "/") : nil
        }

        /// The path of the same audience's JSON.
        var environmentPath: String { "/\(application)/\(profiles)" + (label.map { "/" + $0.replacing("/", with: "(_)") } ?? "") }
    }

    @Test func `each recorded environment is written as the original wrote it`() async throws {
        var report = GoldenReport("flat forms")
        for recorded in try RecordedCase.all() {
            let repository = recorded.plainRepository
            for request in recorded.requests where request.isRead {
                guard let flat = FlatRequest(request.path), let first = recorded.answers(to: request).first, !first.body.isEmpty else {
                    continue
                }
                guard first.status == 200 || first.body.contains("Invalid key") || first.body.contains("Circular placeholder") else {
                    continue
                }
                guard !request.isQuirk else {
                    report.quirk()
                    continue
                }
                let environments = await Self.environments(flat, request, recorded, repository)
                guard !environments.isEmpty else {
                    report.leave("\(recorded.name)/\(request.id)", "no environment recorded: the server's suite plays it")
                    continue
                }
                let resolves = !["resolvePlaceholders=false", "resolvePlaceholders=no"].contains(request.query)
                let written = environments.map { Self.write($0, flat.ending, resolves) }
                let matches = recorded.answers(to: request).contains { written.contains(Self.expectation($0)) }
                #expect(matches, "\(recorded.name)/\(request.id)\nrecorded \(Self.expectation(first))\nwritten  \(written)")
                report.played(matches)
            }
        }
        report.show()
        #expect(report.count > 0)
    }

    /// The recorded one, and one made from the files: JSON has no words for some types, and files say nothing of other repositories.
    private static func environments(
        _ flat: FlatRequest, _ request: RecordedCase.Request, _ recorded: RecordedCase, _ repository: MemoryRepository?
    ) async -> [ConfigEnvironment] {
        var environments: [ConfigEnvironment] = []
        let same = recorded.requests.first {
            $0.isRead && !$0.isQuirk && $0.path == flat.environmentPath && $0.phase == request.phase && recorded.environment(of: $0) != nil
        }
        if let same, let environment = recorded.environment(of: same) { environments.append(environment) }
        if let repository, flat.label == nil || flat.label == "main" {
            let audience = Audience(
                applications: flat.application.split(separator: ",").map(String.init),
                profiles: flat.profiles.split(separator: ",").map(String.init), label: flat.label)
            if let environment = try? await repository.environment(for: audience) { environments.append(environment) }
        }
        return environments
    }

    private static func write(_ environment: ConfigEnvironment, _ ending: String, _ resolving: Bool) -> String {
        let flat = FlatEnvironment(environment)
        do {
            switch ending {
            case "json": return try flat.jsonText(resolvingPlaceholders: resolving)
            case "properties": return try flat.propertiesText(resolvingPlaceholders: resolving)
            default: return try flat.yamlText(resolvingPlaceholders: resolving)
            }
        } catch {
            guard case .placeholders(let reason) = error else { return "!\(error)" }
            return "!" + reason.answer
        }
    }

    private static func expectation(_ answer: (status: Int, body: String)) -> String {
        guard answer.status != 200 else { return answer.body }
        return "!" + ((try? JSONReader.read(Array(answer.body.utf8)))?["message"]?.string ?? "")
    }
}
