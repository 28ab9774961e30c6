import ConfigClient
import ConfigModel
import Foundation
import PropertyFormats

extension EnvironmentVariables {
    /// Every key of a snapshot with its placeholders resolved, by name of the keys.
    init(_ snapshot: ConfigSnapshot) {
        self.init(snapshot.entries(under: "").map { Property(key: $0.key, value: $0.value, origin: $0.origin) })
    }
}

/// The environment that a command gets.
enum CommandEnvironment {
    /// The agent's own environment, and of `variables` those that are not in it: who starts a process by hand has the last word.
    static func make(_ variables: EnvironmentVariables?) -> [String: String] {
        var environment = ProcessInfo.processInfo.environment
        for variable in variables?.variables ?? [] where environment[variable.name] == nil { environment[variable.name] = variable.value }
        return environment
    }
}
