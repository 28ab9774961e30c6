package import ConfigModel

/// What a Spring Cloud Config server's own `application.yml` or `.properties` says, as far as Carillon carries it out.
package struct SpringSettings: Sendable, Equatable {
    package var port: Int?
    package var address: String?
    package var tls: TLS?
    package var prefix = ""
    package var acceptsEmpty = true
    /// Highest precedence first, as the original orders them.
    package var repositories: [Repository] = []
    /// Whether one failing repository of several fails the answer.
    package var failsTogether = true
    /// Key and value as written, in the order of the file.
    package var overrides: [Property] = []
    /// Whether error bodies carry their message.
    package var showsMessages = false
    package var bus = Bus()
    package var broker: Broker?
    package var user: User?
    /// Secrets of webhooks are not part of the original's settings: its `/monitor` is open to everybody.
    package var monitorPath = ""
    /// Keys that are understood and change nothing here, with the reason.
    package var ignored: [Ignored] = []

    package struct TLS: Sendable, Equatable {
        package var certificate: String
        package var key: String
    }

    package struct Bus: Sendable, Equatable {
        package var isEnabled = true
        package var destination = "springCloudBus"
        package var id: String?
        package var application = "application"
        package var acknowledges = true
    }

    /// `spring.rabbitmq.*`.
    package struct Broker: Sendable, Equatable {
        package var uri: String
    }

    package struct User: Sendable, Equatable {
        package var name: String
        package var password: String

        package init(name: String, password: String) {
            self.name = name
            self.password = password
        }
    }

    package struct Ignored: Sendable, Equatable {
        package var key: String
        package var reason: String
    }

    package enum Repository: Sendable, Equatable {
        case git(Git)
        case native(Native)
    }

    package struct Native: Sendable, Equatable {
        package var searchLocations: [String]
        package var addsLabelLocations = true
        package var defaultLabel = "master"
        package var version: String?

        package init(searchLocations: [String]) { self.searchLocations = searchLocations }
    }

    package struct Git: Sendable, Equatable {
        package var uri: String
        package var searchPaths: [String] = []
        package var defaultLabel = "main"
        package var triesMaster = true
        /// Seconds between fetches; 0: before each answer; negative: never.
        package var refreshRate = 0
        /// Seconds.
        package var timeout = 5
        package var deletesUntrackedBranches = false
        package var continuesOnMissingLabels = false
        package var skipsSSLValidation = false
        package var username: String?
        package var password: String?
        package var privateKey: String?
        package var passphrase: String?
        package var hostKey: String?
        package var checksHostKey = true
        /// Repositories chosen by pattern, before the one at `uri`.
        package var patterns: [Pattern] = []

        package struct Pattern: Sendable, Equatable {
            package var name: String
            package var patterns: [String]
            package var git: Git
        }

        package init(uri: String) { self.uri = uri }
    }
}

/// The original's settings that cannot be carried out: names the key, the place, and the remedy.
package struct SpringSettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    package let message: String
    package init(message: String) { self.message = message }
    package var description: String { message }
}
