import ConfigModel
import ConfigRepositories
import GitRepository

/// The repository that settings by their original names describe.
struct GoldenComposition {
    let repository: any ConfigRepository
    let changing: [any ChangingRepository]
    /// `spring.cloud.config.server.*` without repositories.
    let server: [String: String]

    init(_ settings: [String: String], data: String) throws {
        let prefix = "spring.cloud.config.server."
        var server: [String: String] = [:]
        for (key, value) in settings where key.hasPrefix(prefix) { server[String(key.dropFirst(prefix.count))] = value }
        self.server = server
        func section(_ name: String) -> [String: String] {
            var result: [String: String] = [:]
            for (key, value) in server where key.hasPrefix(name + ".") { result[String(key.dropFirst(name.count + 1))] = value }
            return result
        }
        let parsed = ParsedFiles()
        let profiles = (settings["spring.profiles.active"] ?? "git").split(separator: ",").map(String.init)
        var members: [(order: Int, repository: any ConfigRepository)] = []
        var changing: [any ChangingRepository] = []
        func add(_ type: String, _ section: [String: String]) throws {
            switch type {
            case "git":
                members.append((Int(section["order"] ?? "") ?? Int.max, try Self.git(section, parsed, data: data, changing: &changing)))
            case "native":
                let folder = FolderRepository(
                    FolderRepository.Settings(
                        locations: (section["search-locations"] ?? "").split(separator: ",").map(String.init),
                        defaultLabel: section["default-label"] ?? "master", version: section["version"]), parsed: parsed)
                changing.append(folder)
                members.append((Int(section["order"] ?? "") ?? Int.max, folder))
            default: throw GoldenServer.LeftForLater(reason: "it needs a repository of type \(type)")
            }
        }
        if profiles.contains("composite") {
            var index = 0
            while let type = server["composite[\(index)].type"] {
                try add(type, section("composite[\(index)]"))
                index += 1
            }
        } else {
            for profile in profiles { try add(profile, section(profile)) }
            members.sort { $0.order < $1.order }
        }
        let overrides = OverridingRepository.springOverrides(section("overrides").map { ($0, $1.replacing("$\\{", with: "${")) })
        repository = OverridingRepository(
            DecryptingRepository(
                CompositeRepository(members.map(\.repository), failsTogether: server["fail-on-composite-error"] != "false")),
            overrides: overrides)
        self.changing = changing
    }

    private static func git(
        _ section: [String: String], _ parsed: ParsedFiles, data: String, changing: inout [any ChangingRepository]
    ) throws -> any ConfigRepository {
        func list(_ section: [String: String], _ key: String) -> [String] {
            (section[key] ?? "").split(separator: ",").map(String.init)
                + section.filter { $0.key.hasPrefix(key + "[") }.sorted { $0.key < $1.key }.map(\.value)
        }
        func one(_ section: [String: String], absence: ConfigError.Code) throws -> GitRepository {
            let rate = section["refresh-rate"].flatMap(Int.init) ?? 0
            return try GitRepository(
                GitSettings(
                    uri: section["uri"] ?? "", searchPaths: list(section, "search-paths"), defaultLabel: section["default-label"] ?? "main",
                    triesMaster: section["try-master-branch"] != "false", freshness: .onRequest(olderThan: .seconds(rate)),
                    skipsMissingLabels: section["continue-on-multiple-label-failure"] == "true", absence: absence), data: data,
                parsed: parsed)
        }
        var names: [String] = []
        for key in section.keys.sorted() where key.hasPrefix("repos.") {
            let name = String(key.split(separator: ".")[1])
            if !names.contains(name) { names.append(name) }
        }
        let base = try one(section, absence: .unavailable)
        changing.append(base)
        guard !names.isEmpty else { return base }
        var choices: [PatternRepository.Choice] = []
        for name in names {
            var own: [String: String] = [:]
            for (key, value) in section where key.hasPrefix("repos.\(name).") { own[String(key.dropFirst("repos.\(name).".count))] = value }
            own["uri"] = own["uri"] ?? section["repos.\(name)"]
            let repository = try one(own, absence: .notFound)
            changing.append(repository)
            let patterns = list(own, "pattern")
            choices.append(PatternRepository.Choice(name: name, patterns: patterns.isEmpty ? [name] : patterns, repository: repository))
        }
        return PatternRepository(choices, otherwise: base)
    }
}
