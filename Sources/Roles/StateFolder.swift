import Foundation
package import Settings

/// Where what must survive is kept.
package enum StateFolder {
    /// The folder named in the settings, else `$XDG_STATE_HOME/carillon`, else `~/.local/state/carillon`; made when it is not there, for its
    /// owner only. Throws when it cannot be made or written.
    package static func prepare(_ named: String?, environment: [String: String] = ProcessInfo.processInfo.environment) throws(SettingsError)
        -> String
    {
        let path =
            named ?? environment["XDG_STATE_HOME"].map { $0 + "/carillon" } ?? environment["HOME"].map { $0 + "/.local/state/carillon" }
            ?? FileManager.default.currentDirectoryPath + "/.carillon"
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw SettingsError(
                message: "the data folder \(path) cannot be made (\(error.localizedDescription)); name another with --data DIR")
        }
        guard FileManager.default.isWritableFile(atPath: path) else {
            throw SettingsError(message: "the data folder \(path) cannot be written; name another with --data DIR")
        }
        return path
    }
}
