import ConfigModel
import ConfigRepositories
import GitRepository
package import SpringSettings
package import Telemetry

extension RepositorySetup {
    /// The repositories of the original server's own settings, read with the original's defaults: a remote is looked at before each answer unless
    /// `refresh-rate` says otherwise, and deleted branches are served on.
    package init(_ settings: SpringSettings, data: String, log: Log) throws {
        let parsed = ParsedFiles()
        var members: [any ConfigRepository] = []
        var changing: [any ChangingRepository] = []
        func git(_ git: SpringSettings.Git, absence: ConfigError.Code) throws -> GitRepository {
            let repository = try GitRepository(
                try Self.settings(git, absence: absence), data: data + "/mirrors", parsed: parsed, log: log.of("git"))
            changing.append(repository)
            return repository
        }
        for repository in settings.repositories {
            switch repository {
            case .native(let native):
                let folder = FolderRepository(
                    FolderRepository.Settings(
                        locations: native.searchLocations, addsLabels: native.addsLabelLocations, defaultLabel: native.defaultLabel,
                        version: native.version), parsed: parsed, log: log.of("folder"))
                changing.append(folder)
                members.append(folder)
            case .git(let settings):
                let base = try git(settings, absence: .unavailable)
                let choices = try settings.patterns.map { pattern in
                    PatternRepository.Choice(
                        name: pattern.name, patterns: pattern.patterns, repository: try git(pattern.git, absence: .notFound))
                }
                members.append(choices.isEmpty ? base : PatternRepository(choices, otherwise: base))
            }
        }
        let all = DecryptingRepository(CompositeRepository(members, failsTogether: settings.failsTogether))
        let overrides = settings.overrides.map { (key: $0.key, value: $0.value.text.replacing("$\\{", with: "${")) }
        self.init(
            repository: overrides.isEmpty ? all : OverridingRepository(all, overrides: OverridingRepository.springOverrides(overrides)),
            changing: changing)
    }

    private static func settings(_ git: SpringSettings.Git, absence: ConfigError.Code) throws -> GitSettings {
        // A repository on this machine is read where it lies: the rate of refreshes does not concern it.
        let isLocal = try GitURI(git.uri).path != nil
        let freshness: GitSettings.Freshness =
            isLocal ? .onRequest(olderThan: .zero) : git.refreshRate < 0 ? .onDemand : .onRequest(olderThan: .seconds(git.refreshRate))
        return GitSettings(
            uri: git.uri, searchPaths: git.searchPaths, defaultLabel: git.defaultLabel, triesMaster: git.triesMaster,
            freshness: freshness, timeLimit: .seconds(max(1, git.timeout)), followsDeletions: git.deletesUntrackedBranches,
            skipsMissingLabels: git.continuesOnMissingLabels, absence: absence,
            credentials: GitSettings.Credentials(
                username: git.username, password: git.password, privateKey: git.privateKey, passphrase: git.passphrase),
            checksServer: !git.skipsSSLValidation && git.checksHostKey, hostKey: git.hostKey)
    }
}
