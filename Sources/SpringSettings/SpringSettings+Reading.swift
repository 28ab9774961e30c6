import ConfigModel
package import PropertyFormats

extension SpringSettings {
    private static let server = "spring.cloud.config.server"
    /// Profiles of the original that choose a kind of repository which Carillon has not.
    private static let missingKinds: Set<String> = [
        "jdbc", "vault", "svn", "subversion", "redis", "mongodb", "awss3", "awsparamstore", "awssecretsmanager", "credhub",
        "secret-manager",
    ]

    /// Reads the documents of a settings file by the original's names, in all spellings that Spring binds. Documents for profiles that are not
    /// active are left out; placeholders are filled in from the file and `environment`.
    ///
    /// Throws for a `spring.cloud.config.*` key that is not supported, naming it, and for a value that cannot be used. All other keys that
    /// mean nothing here are listed in `ignored`.
    package init(documents: [PropertyDocument], file: String, environment: [String: String] = [:]) throws(SpringSettingsError) {
        let active = Self.activeProfiles(documents, environment)
        let properties = documents.filter { Self.applies($0, to: active) }.flatMap(\.properties)
        let texts = Dictionary(properties.map { ($0.key, $0.value.text) }, uniquingKeysWith: { $1 })
        func value(_ key: String) -> String? {
            texts[key] ?? environment[key] ?? environment[String(key.uppercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })]
        }
        var keys = RelaxedKeys(properties, file: file) { text in (try? Placeholders.resolve(text, value: value)) ?? text }
        _ = keys.string("spring.profiles.active")

        port = try keys.number("server.port")
        address = keys.string("server.address")
        if let certificate = keys.string("server.ssl.certificate"), let key = keys.string("server.ssl.certificate-private-key") {
            tls = TLS(certificate: Self.path(certificate), key: Self.path(key))
        } else if keys.has("server.ssl.key-store"), try keys.flag("server.ssl.enabled") != false {
            throw keys.wrong(
                "server.ssl.key-store",
                "is a Java key store; give PEM files by server.ssl.certificate and server.ssl.certificate-private-key")
        }
        let message = keys.string("spring.web.error.include-message") ?? keys.string("server.error.include-message")
        _ = keys.string("server.error.include-message")
        showsMessages = message?.lowercased() == "always"
        prefix = keys.string("\(Self.server).prefix") ?? ""
        acceptsEmpty = try keys.flag("\(Self.server).accept-empty") ?? true
        failsTogether = try keys.flag("\(Self.server).fail-on-composite-error") ?? true
        overrides = keys.everything(below: "\(Self.server).overrides")
        monitorPath = keys.string("\(Self.server).monitor.endpoint.path") ?? keys.string("spring.cloud.config.monitor.endpoint.path") ?? ""
        repositories = try Self.repositories(&keys, active)
        bus = try Self.bus(&keys)
        broker = try Self.broker(&keys)
        if let password = keys.string("spring.security.user.password") {
            user = User(name: keys.string("spring.security.user.name") ?? "user", password: password)
        }
        try refuse(&keys)
    }

    // MARK: profiles

    private static func activeProfiles(_ documents: [PropertyDocument], _ environment: [String: String]) -> [String] {
        var found: [String: String] = [:]
        for property in documents.flatMap(\.properties) where property.key.hasPrefix("spring.profiles.active") {
            found[property.key] = property.value.text
        }
        let text =
            environment["SPRING_PROFILES_ACTIVE"] ?? found["spring.profiles.active"]
            ?? found.sorted { $0.key < $1.key }.map(\.value).joined(separator: ",")
        return text.split(separator: ",").map { $0.trimmed }.filter { !$0.isEmpty }
    }

    private static func applies(_ document: PropertyDocument, to active: [String]) -> Bool {
        guard let condition = document.properties.first(where: { $0.key == "spring.config.activate.on-profile" })?.value.text else {
            return true
        }
        return (try? ProfileExpression(condition).matches(active)) ?? false
    }

    // MARK: repositories

    private static func repositories(_ keys: inout RelaxedKeys, _ active: [String]) throws(SpringSettingsError) -> [Repository] {
        if let missing = active.first(where: { missingKinds.contains($0) }) {
            throw keys.wrong(
                "spring.profiles.active",
                "asks for the repository `\(missing)`, which Carillon has not; git, native and composite can be served")
        }
        if active.contains("composite") {
            var result: [Repository] = []
            while let type = keys.string("\(server).composite[\(result.count)].type") {
                let section = "\(server).composite[\(result.count)]"
                switch type {
                case "git": result.append(.git(try git(&keys, section)))
                case "native": result.append(.native(try native(&keys, section)))
                default:
                    throw keys.wrong(
                        "\(section).type", "asks for the repository `\(type)`, which Carillon has not; git and native can be served")
                }
                _ = keys.string("\(section).order")  // the place in the list decides
            }
            guard !result.isEmpty else {
                throw keys.wrong("spring.profiles.active", "is composite, and there is no \(server).composite[0].type")
            }
            return result
        }
        var members: [(order: Int, repository: Repository)] = []
        for profile in active {
            if profile == "git" { members.append((try keys.number("\(server).git.order") ?? .max, .git(try git(&keys, "\(server).git")))) }
            if profile == "native" {
                members.append((try keys.number("\(server).native.order") ?? .max, .native(try native(&keys, "\(server).native"))))
            }
        }
        if members.isEmpty { members.append((0, .git(try git(&keys, "\(server).git")))) }
        _ = try keys.number("\(server).git.order")
        return members.enumerated().sorted { ($0.element.order, $0.offset) < ($1.element.order, $1.offset) }.map(\.element.repository)
    }

    private static func native(_ keys: inout RelaxedKeys, _ section: String) throws(SpringSettingsError) -> Native {
        let named = keys.list("\(section).search-locations")
        if let outside = named?.first(where: { $0.hasPrefix("classpath:") }) {
            throw keys.wrong("\(section).search-locations", "names `\(outside)`: there is no class path here; name a folder")
        }
        var native = Native(searchLocations: (named ?? ["file:./", "file:./config/"]).map(path))
        native.addsLabelLocations = try keys.flag("\(section).add-label-locations") ?? true
        native.defaultLabel = keys.string("\(section).default-label") ?? "master"
        native.version = keys.string("\(section).version")
        return native
    }

    private static func git(_ keys: inout RelaxedKeys, _ section: String) throws(SpringSettingsError) -> Git {
        guard let uri = keys.string("\(section).uri") else {
            throw keys.wrong(
                "\(section).uri", "is needed: the Git repository to serve, such as file:///srv/config or https://git.example/config.git")
        }
        var git = try one(&keys, section, uri: uri)
        for name in keys.names(below: "\(section).repos") {
            let own = "\(section).repos.\(name)"
            guard let uri = keys.string("\(own).uri") ?? keys.string(own) else { throw keys.wrong(own, "needs a `uri`") }
            git.patterns.append(
                Git.Pattern(name: name, patterns: keys.list("\(own).pattern") ?? [name], git: try one(&keys, own, uri: uri)))
        }
        return git
    }

    private static func one(_ keys: inout RelaxedKeys, _ section: String, uri: String) throws(SpringSettingsError) -> Git {
        var git = Git(uri: uri)
        git.searchPaths = keys.list("\(section).search-paths") ?? []
        git.defaultLabel = keys.string("\(section).default-label") ?? "main"
        git.triesMaster = try keys.flag("\(section).try-master-branch") ?? true
        git.refreshRate = try keys.number("\(section).refresh-rate") ?? 0
        git.timeout = try keys.number("\(section).timeout") ?? 5
        git.deletesUntrackedBranches = try keys.flag("\(section).delete-untracked-branches") ?? false
        git.continuesOnMissingLabels = try keys.flag("\(section).continue-on-multiple-label-failure") ?? false
        git.skipsSSLValidation = try keys.flag("\(section).skip-ssl-validation") ?? false
        git.username = keys.string("\(section).username")
        git.password = keys.string("\(section).password")
        git.privateKey = keys.string("\(section).private-key")
        git.passphrase = keys.string("\(section).passphrase")
        git.hostKey = keys.string("\(section).host-key")
        git.checksHostKey = try keys.flag("\(section).strict-host-key-checking") ?? true
        // A mirror needs none of these: there is no working copy that could be dirty or cloned late.
        for name in ["clone-on-start", "force-pull", "basedir", "ignore-local-ssh-settings", "host-key-algorithm"] {
            _ = keys.string("\(section).\(name)")
        }
        return git
    }

    // MARK: bus

    private static func bus(_ keys: inout RelaxedKeys) throws(SpringSettingsError) -> Bus {
        var bus = Bus()
        bus.isEnabled = try keys.flag("spring.cloud.bus.enabled") ?? true
        bus.destination = keys.string("spring.cloud.bus.destination") ?? bus.destination
        bus.id = keys.string("spring.cloud.bus.id")
        bus.application = keys.string("spring.application.name").flatMap { $0.isEmpty ? nil : $0 } ?? bus.application
        bus.acknowledges = try keys.flag("spring.cloud.bus.ack.enabled") ?? true
        return bus
    }

    private static func broker(_ keys: inout RelaxedKeys) throws(SpringSettingsError) -> Broker? {
        guard keys.has("spring.rabbitmq") else { return nil }
        let tls = try keys.flag("spring.rabbitmq.ssl.enabled") ?? false
        let user = keys.string("spring.rabbitmq.username") ?? "guest"
        let password = keys.string("spring.rabbitmq.password") ?? "guest"
        let host = keys.string("spring.rabbitmq.host") ?? "localhost"
        let port = try keys.number("spring.rabbitmq.port") ?? (tls ? 5671 : 5672)
        let virtualHost = keys.string("spring.rabbitmq.virtual-host") ?? "/"
        guard keys.list("spring.rabbitmq.addresses") == nil else {
            throw keys.wrong("spring.rabbitmq.addresses", "is not supported; name one broker by spring.rabbitmq.host and .port")
        }
        func escaped(_ text: String) -> String {
            var result = ""
            for byte in text.utf8 {
                switch byte {
                case 48...57, 65...90, 97...122, 45, 46, 95, 126: result.unicodeScalars.append(Unicode.Scalar(byte))
                default:
                    let hex = String(byte, radix: 16, uppercase: true)
                    result += "%" + (hex.count == 1 ? "0" : "") + hex
                }
            }
            return result
        }
        return Broker(uri: "\(tls ? "amqps" : "amqp")://\(escaped(user)):\(escaped(password))@\(host):\(port)/\(escaped(virtualHost))")
    }

    // MARK: what is left

    /// Refuses what would be missed, and lists what would not.
    private mutating func refuse(_ keys: inout RelaxedKeys) throws(SpringSettingsError) {
        for property in keys.unread {
            let key = RelaxedKeys.canonical(property.key)
            let section = "spring.cloud.config."
            if key.hasPrefix(section) {
                // Another kind's section that no profile asks for does nothing in the original either.
                let kind = key.dropFirst("spring.cloud.config.server.".count).prefix { $0 != "." && $0 != "[" }
                if key.hasPrefix("spring.cloud.config.server."),
                    ["git", "native", "composite"].contains(kind) || Self.missingKinds.contains(String(kind)),
                    !repositories.contains(where: { $0.kind == kind })
                {
                    ignored.append(Ignored(key: property.key, reason: "no active profile asks for it"))
                    continue
                }
                if key.hasPrefix("spring.cloud.config.server.health") || key == "spring.cloud.config.enabled" {
                    ignored.append(Ignored(key: property.key, reason: "health never reads a repository here"))
                    continue
                }
                throw keys.wrong(property.key, "is not supported by Carillon; remove it to start without it")
            }
            ignored.append(
                Ignored(
                    key: property.key,
                    reason: key.hasPrefix("encrypt.")
                        ? "values are not decrypted: `{cipher}` is answered as invalid.<key>" : "it means nothing to Carillon"))
        }
    }

    /// A folder or file as Spring's resource locations name it: `file:/a`, `file:///a` or a path.
    private static func path(_ location: String) -> String {
        var text = location
        if text.hasPrefix("file:") {
            text.removeFirst(5)
            while text.hasPrefix("//") { text.removeFirst() }
        }
        while text.count > 1, text.hasSuffix("/") { text.removeLast() }
        return text
    }
}

extension SpringSettings.Repository {
    fileprivate var kind: Substring {
        switch self {
        case .git: "git"
        case .native: "native"
        }
    }
}
