package import ConfigRepositories
import Foundation
import GitRepository
package import Settings
package import Telemetry

/// The repositories that settings name, as one that answers and the services that keep them fresh.
package struct RepositorySetup: Sendable {
    /// What answers are taken from.
    package let repository: any ConfigRepository
    /// Each must run.
    package let changing: [any ChangingRepository]

    package init(repository: any ConfigRepository, changing: [any ChangingRepository]) {
        self.repository = repository
        self.changing = changing
    }

    /// Several repositories are merged, the first highest; overrides outrank all. Nothing named: the folder `./config`, or the Git
    /// repository that it is in.
    package init(_ settings: CarillonSettings, data: String, log: Log) throws {
        let parsed = ParsedFiles()
        let named = settings.repositories.isEmpty ? [try Self.found(at: "./config")] : settings.repositories
        changing = try named.map { repository -> any ChangingRepository in
            switch repository {
            case .git(let git): try GitRepository(Self.settings(git), data: data + "/mirrors", parsed: parsed, log: log.of("git"))
            case .folder(let path, let searchPaths):
                FolderRepository(
                    FolderRepository.Settings(locations: [path] + searchPaths.map { "\(path)/\($0)" }), parsed: parsed,
                    log: log.of("folder"))
            }
        }
        var all: any ConfigRepository = DecryptingRepository(CompositeRepository(changing))
        if !settings.overrides.isEmpty { all = OverridingRepository(all, overrides: settings.overrides) }
        repository = all
    }

    private static func found(at path: String) throws(SettingsError) -> CarillonSettings.Repository {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            throw SettingsError(
                message:
                    "nothing to serve: there is no folder \(path) here and no `repositories:` in the settings; "
                    + "make the folder with an application.yml in it, or name a repository: carillon serve --config carillon.yaml")
        }
        if FileManager.default.fileExists(atPath: path + "/.git") || FileManager.default.fileExists(atPath: path + "/HEAD") {
            return .git(CarillonSettings.Git(uri: path))
        }
        return .folder(path: path, searchPaths: [])
    }

    private static func settings(_ git: CarillonSettings.Git) -> GitSettings {
        GitSettings(
            uri: git.uri, searchPaths: git.searchPaths, defaultLabel: git.defaultLabel ?? "main",
            freshness: .background(every: git.refresh),
            credentials: GitSettings.Credentials(
                username: git.username, password: git.password, privateKeyFile: git.privateKey, passphrase: git.passphrase),
            checksServer: git.verifiesCertificates)
    }
}
