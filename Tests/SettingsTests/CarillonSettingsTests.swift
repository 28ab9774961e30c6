import ConfigModel
import FoundationEssentials
import Settings
import Testing

@Suite struct CarillonSettingsTests {
    private func settings(
        _ pairs: KeyValuePairs<String, String>, environment: [String: String] = [:], commandLine: [String: String] = [:]
    ) throws -> CarillonSettings {
        var line = 0
        let properties = pairs.map { key, value in
            line += 1
            return Property(key: key, value: .string(value), origin: Origin(line: line, column: 1))
        }
        return try CarillonSettings(file: "carillon.yaml", properties: properties, environment: environment, commandLine: commandLine)
    }

    @Test func `nothing configured is loopback, port 8888, embedded broker, nobody may change anything from elsewhere`() throws {
        let settings = try settings([:])
        #expect(settings.server.address == "127.0.0.1")
        #expect(settings.server.port == 8888)
        #expect(settings.binder == nil)
        #expect(settings.security == .tokens([]))
        #expect(settings.bus.destination == "springCloudBus")
    }

    @Test func `the command line wins over the environment, and that over the file`() throws {
        let pairs: KeyValuePairs<String, String> = ["server.port": "1"]
        #expect(try settings(pairs).server.port == 1)
        #expect(try settings(pairs, environment: ["CARILLON_SERVER_PORT": "2"]).server.port == 2)
        #expect(
            try settings(pairs, environment: ["CARILLON_SERVER_PORT": "2"], commandLine: ["server.port": "3"]).server.port == 3)
    }

    @Test func `buses are joined by names of brokers or by URIs, which stay hidden`() throws {
        let settings = try settings([
            "binder": "old", "binders.old": "amqp://u:s3cret@a/", "binders.new.uri": "redis://b", "bus.bridge[0]": "new",
            "bus.bridge[1]": "kafka://u:s3cret@c:9092", "bus.bridge-name": "moving",
        ])
        #expect(settings.bus.bridge == ["new", "kafka://u:s3cret@c:9092"])
        #expect(settings.bus.bridgeName == "moving")
        #expect(try settings.bus.bridge.map { try settings.bridged($0).uri } == ["redis://b", "kafka://u:s3cret@c:9092"])
        #expect(!settings.effective.contains("s3cret"))
        let error = #expect(throws: SettingsError.self) {
            _ = try self.settings(["binders.old": "amqp://a/", "bus.bridge": "odl"])
        }
        #expect(error?.message.contains("`bus.bridge` names `odl`") == true && error?.message.contains("did you mean `old`?") == true)
        #expect(try self.settings([:], commandLine: ["bus.bridge": "redis://b"]).bus.bridge == ["redis://b"])
    }

    @Test(arguments: ["bus.binder", "channels.binder"])
    func `a URI where a name is wanted is refused without its password`(key: String) {
        let error = #expect(throws: SettingsError.self) { try self.settings([key: "amqp://u:s3cret@a/"]) }
        #expect(error?.message.contains("`\(key)` must be the name of one of `binders`") == true, "\(String(describing: error))")
        #expect(error?.message.contains("s3cret") == false)
    }

    @Test(arguments: [
        ("server.prot", "carillon.yaml:1: unknown setting `server.prot`; did you mean `server.port`?"),
        ("channels.push.allow-privat", "did you mean `channels.push.allow-private`?"),
        ("repositories[0].git.default-lable", "did you mean `repositories[].git.default-label`?"),
        ("completely.else", "carillon.yaml:1: unknown setting `completely.else`"),
    ])
    func `an unknown key is refused with its line and the nearest known one`(key: String, says: String) {
        let error = #expect(throws: SettingsError.self) { try settings([key: "x", "repositories[0].git.uri": "u"]) }
        #expect(error?.message.contains(says) == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        ("server.port", "70000", "needs a whole number from 0 to 65535"), ("server.tls.key", "k", "needs both `certificate` and `key`"),
        ("security", "shut", "`open`"), ("log.level", "loud", "needs one of debug, info, warning, error"),
        ("security.tokens[0].name", "ci", "needs `value-file:`"),
        ("monitor.secret-file", "/nowhere/at/all", "cannot be read: /nowhere/at/all"),
        ("repositories[0].search-paths[0]", "x", "needs `git:` or `folder:`"),
    ])
    func `a value that cannot be used is refused with the key and what it needs`(key: String, value: String, says: String) {
        let error = #expect(throws: SettingsError.self) { try settings([key: value]) }
        #expect(error?.message.contains(says) == true, "\(String(describing: error))")
        #expect(error?.message.contains("`\(key.prefix(6))") == true)
    }

    @Test func `repositories, tokens and secrets in files are read, and secrets never shown`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("carillon-settings-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let secret = folder.appendingPathComponent("token")
        try Data("s3cret\n".utf8).write(to: secret)
        let settings = try settings([
            "security.tokens[0].name": "ci", "security.tokens[0].value-file": secret.path, "security.tokens[0].may[0]": "refresh",
            "repositories[0].git.uri": "https://git.example/a.git", "repositories[0].git.search-paths[0]": "{application}",
            "repositories[0].git.refresh": "5s", "repositories[0].git.password": "pa55", "repositories[1].folder": "./config",
            "overrides.a.b": "c", "binder": "amqp://u:pw@h/v",
        ])
        #expect(settings.security == .tokens([.init(name: "ci", value: "s3cret", may: [.refresh])]))
        guard case .git(let git) = settings.repositories.first else { throw SettingsError(message: "no git") }
        #expect(git.searchPaths == ["{application}"])
        #expect(git.refresh == .seconds(5))
        #expect(git.password == "pa55")
        #expect(settings.repositories.last == .folder(path: "./config", searchPaths: []))
        #expect(settings.overrides.map(\.key) == ["a.b"])
        for secret in ["s3cret", "pa55", "pw@h"] { #expect(!settings.effective.contains(secret)) }
        #expect(settings.effective.contains("repositories[0].git.refresh: 5s  # carillon.yaml:6"))
    }

    @Test func `security open is a word of its own`() throws {
        #expect(try settings(["security": "open"]).security == .open)
    }

    @Test func `bounds of event channels are read, and what cannot be is refused by its key`() throws {
        let settings = try settings([
            "channels.maximum-payload": "1000", "channels.streams-per-destination": "7", "channels.lease": "5s",
            "channels.push.allow-private": "true", "channels.push.hosts[0]": "a", "channels.push.hosts[1]": "*.b",
            "channels.push.secret": "hush",
        ])
        #expect(settings.channels.maximumPayload == 1000 && settings.channels.streamsPerDestination == 7)
        #expect(settings.channels.lease == .seconds(5) && settings.channels.push.allowsPrivate == true)
        #expect(settings.channels.push.hosts == ["a", "*.b"] && settings.channels.push.secret == "hush")
        #expect(settings.effective.contains("channels.push.secret: (hidden)") && !settings.effective.contains("hush"))
        for (key, value) in [("channels.maximum-pull", "0"), ("channels.lease", "0s"), ("channels.push.longest-timeout", "soon")] {
            #expect { try self.settings(["channels.longest-lease": "1h", key: value]) } throws: { "\($0)".contains("`\(key)`") }
        }
        #expect { try self.settings(["channels.lease": "2h", "channels.longest-lease": "1h"]) } throws: {
            "\($0)".contains("longer than `channels.longest-lease`")
        }
    }
}
