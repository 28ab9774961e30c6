package import ConfigModel

/// Carillon's own settings, as `carillon.yaml`, the environment and the command line give them.
package struct CarillonSettings: Sendable, Equatable {
    package var server = Server()
    package var security = Security.tokens([])
    /// Where what must survive is kept; nil: the user's state folder.
    package var data: String?
    /// The broker's URI, or the name of one of `binders`; nil: the only one of `binders`, else the embedded broker.
    package var binder: String?
    /// Brokers by name, where one is not enough.
    package var binders: [String: Broker] = [:]
    /// The name of the broker that event channels are on; nil: `binder`. The bus has its own in `bus.binder`.
    package var channelBinder: String?
    package var repositories: [Repository] = []
    /// Properties that outrank every repository.
    package var overrides: [Property] = []
    package var bus = BusName()
    package var monitor = Monitor()
    package var channels = Channels()
    package var log = LogLevel.info
    /// Stands before the whole server, as Spring Security's single user does; only taken over from the original server's own file.
    package var user: User?

    package struct User: Sendable, Equatable {
        package var name: String
        package var password: String
        package init(name: String, password: String) {
            self.name = name
            self.password = password
        }
    }

    package struct Server: Sendable, Equatable {
        package var address = "127.0.0.1"
        package var port = 8888
        package var tls: TLS?
        /// What every configuration route starts with; empty: nothing.
        package var prefix = ""
        /// Whether an application that nothing is known of gets an empty environment; else 404.
        package var acceptsEmpty = true
        /// Largest request body, in bytes.
        package var maximumBody = 16 << 20
    }

    package struct TLS: Sendable, Equatable {
        /// Paths of PEM files.
        package var certificate: String
        package var key: String
        package var clientCA: String?

        package init(certificate: String, key: String, clientCA: String? = nil) {
            self.certificate = certificate
            self.key = key
            self.clientCA = clientCA
        }
    }

    /// Who may change something.
    package enum Security: Sendable, Equatable {
        /// The network is trusted.
        case open
        /// Whoever shows one of these; nobody, when there is none and the server listens beyond loopback.
        case tokens([Token])
    }

    package struct Token: Sendable, Equatable {
        package var name: String
        package var value: String
        package var may: Set<Permission>

        package init(name: String, value: String, may: Set<Permission>) {
            self.name = name
            self.value = value
            self.may = may
        }
    }

    package enum Permission: String, Sendable, CaseIterable {
        /// Bus refresh, webhooks without a signature.
        case refresh
        /// Environment changes over the bus.
        case env
        /// Events into channels.
        case publish
        /// Reading channels, and settling what a group was handed.
        case subscribe
        /// Overriding scaling policies for a while.
        case scale
    }

    package enum Repository: Sendable, Equatable {
        case git(Git)
        case folder(path: String, searchPaths: [String])
    }

    package struct Git: Sendable, Equatable {
        package var uri: String
        package var defaultLabel: String?
        package var searchPaths: [String] = []
        /// How often the remote is asked.
        package var refresh: Duration = .seconds(30)
        package var username: String?
        package var password: String?
        /// Path of a private key for ssh.
        package var privateKey: String?
        package var passphrase: String?
        package var verifiesCertificates = true

        package init(uri: String) { self.uri = uri }
    }

    package struct BusName: Sendable, Equatable {
        package var destination = "springCloudBus"
        package var application = "config-server"
        /// The whole bus id; nil: made of application, port and a random part.
        package var id: String?
        package var acknowledges = true
        /// The name of one of `binders`; nil: `binder`.
        package var binder: String?
        /// Other brokers whose buses are joined with this one: names of `binders`, or URIs.
        package var bridge: [String] = []
        /// Servers that join the same brokers under the same name share the work.
        package var bridgeName: String?
    }

    package struct Monitor: Sendable, Equatable {
        /// What webhooks are signed with.
        package var secret: String?
        /// Branches (patterns with `*`) whose pushes count; nil: all.
        package var branches: [String]?
        /// Whether a hook tells those that its files' names point to, as the original does, instead of those that the change really affects.
        package var guesses = false
    }

    package enum LogLevel: String, Sendable, CaseIterable { case debug, info, warning, error }

    package init() {}

    /// The settings in force, one `key: value` a line with where each came from; secrets hidden.
    package private(set) var effective: String = ""

    /// Reads a section that is not known here, such as that of a part of its own.
    package typealias Section = (inout SettingsReader) throws(SettingsError) -> Void

    /// `properties` are those of the file, flat. `section` reads what is not known here. Throws for a key that is unknown to both, naming the
    /// nearest known one, and for a value that cannot be used.
    package init(
        file: String, properties: [Property], environment: [String: String] = [:], commandLine: [String: String] = [:],
        section: Section = { _ in }
    ) throws(SettingsError) {
        var reader = SettingsReader(file: file, properties: properties, environment: environment, commandLine: commandLine)
        server = try Self.server(&reader)
        security = try Self.security(&reader)
        data = reader.string("data")
        binder = reader.string("binder", secret: true)
        binders = try Self.brokers(&reader)
        channelBinder = reader.string("channels.binder")
        for index in 0..<reader.count(of: "repositories") { repositories.append(try Self.repository(&reader, "repositories[\(index)]")) }
        overrides = reader.everything(below: "overrides")
        bus.destination = reader.string("bus.destination") ?? bus.destination
        bus.application = reader.string("bus.application") ?? bus.application
        bus.id = reader.string("bus.id")
        bus.acknowledges = try reader.flag("bus.acknowledges") ?? bus.acknowledges
        bus.binder = reader.string("bus.binder")
        bus.bridge = reader.strings("bus.bridge", secret: true) ?? []
        bus.bridgeName = reader.string("bus.bridge-name")
        for (key, name) in [("binder", nil), ("bus.binder", bus.binder), ("channels.binder", channelBinder)] {
            do throws(SettingsError) { _ = try broker(name) } catch { throw reader.wrong(key, error.message) }
        }
        for name in bus.bridge {
            do throws(SettingsError) { _ = try bridged(name) } catch { throw reader.wrong("bus.bridge", error.message) }
        }
        monitor.secret = try reader.secret("monitor.secret")
        monitor.branches = reader.strings("monitor.branches")
        channels = try Self.channels(&reader)
        log = try reader.choice("log.level", LogLevel.self) ?? log
        try section(&reader)
        try reader.refuseUnknown()
        effective = reader.effective.map { "\($0.key): \($0.value)  # \($0.origin)\n" }.joined()
    }

    /// The `server:` section.
    package static func server(_ reader: inout SettingsReader) throws(SettingsError) -> Server {
        var server = Server()
        server.address = reader.string("server.address") ?? server.address
        server.port = try reader.number("server.port", in: 0...65535) ?? server.port
        server.prefix = reader.string("server.prefix") ?? server.prefix
        server.acceptsEmpty = try reader.flag("server.accept-empty") ?? server.acceptsEmpty
        server.maximumBody = try reader.number("server.maximum-body", in: 1024...(1 << 30)) ?? server.maximumBody
        let tls = (reader.string("server.tls.certificate"), reader.string("server.tls.key"), reader.string("server.tls.client-ca"))
        switch tls {
        case (nil, nil, nil): break
        case (let certificate?, let key?, let authority): server.tls = TLS(certificate: certificate, key: key, clientCA: authority)
        default: throw reader.wrong("server.tls", "needs both `certificate` and `key`")
        }
        return server
    }

    /// The `security:` section.
    package static func security(_ reader: inout SettingsReader) throws(SettingsError) -> Security {
        if let word = reader.string("security"), !word.isEmpty {
            guard word == "open" else { throw reader.wrong("security", "is either `open` or has `tokens:`, not `\(word)`") }
            return .open
        }
        var tokens: [Token] = []
        for index in 0..<reader.count(of: "security.tokens") {
            let key = "security.tokens[\(index)]"
            guard let name = reader.string(key + ".name") else { throw reader.wrong(key, "needs a `name`") }
            guard let value = try reader.secret(key + ".value"), !value.isEmpty else {
                throw reader.wrong(key, "needs `value-file:` (or `value:`) with the token")
            }
            var may: Set<Permission> = []
            for word in reader.strings(key + ".may") ?? Permission.allCases.map(\.rawValue) {
                guard let permission = Permission(rawValue: word) else {
                    let all = Permission.allCases.map(\.rawValue).joined(separator: ", ")
                    throw reader.wrong(key + ".may", "names `\(word)`, which is none of \(all)")
                }
                may.insert(permission)
            }
            tokens.append(Token(name: name, value: value, may: may))
        }
        return .tokens(tokens)
    }

    private static func repository(_ reader: inout SettingsReader, _ key: String) throws(SettingsError) -> Repository {
        if reader.has(key + ".git") {
            guard let uri = reader.string(key + ".git.uri") ?? reader.string(key + ".git") else {
                throw reader.wrong(key + ".git", "needs a `uri`")
            }
            var git = Git(uri: uri)
            git.defaultLabel = reader.string(key + ".git.default-label")
            git.searchPaths = reader.strings(key + ".git.search-paths") ?? []
            git.refresh = try reader.duration(key + ".git.refresh") ?? git.refresh
            git.username = reader.string(key + ".git.username")
            git.password = try reader.secret(key + ".git.password")
            git.privateKey = reader.string(key + ".git.private-key-file")
            git.passphrase = try reader.secret(key + ".git.passphrase")
            git.verifiesCertificates = try reader.flag(key + ".git.verify-certificates") ?? true
            return .git(git)
        }
        if let path = reader.string(key + ".folder.path") ?? reader.string(key + ".folder") {
            return .folder(path: path, searchPaths: reader.strings(key + ".folder.search-paths") ?? [])
        }
        throw reader.wrong(key, "needs `git:` or `folder:`")
    }
}
