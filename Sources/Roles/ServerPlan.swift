import Binders
import Bus
import ConfigRepositories
import Crypto
import Foundation
import PropertyFormats
package import ScalingFormats
package import Settings
package import SpringSettings
import Streams
package import Telemetry

/// What a server is to be made of, read and checked, before anything runs.
package struct ServerPlan: Sendable {
    package let settings: CarillonSettings
    /// Where the settings come from the original server's own file.
    package let spring: SpringSettings?
    /// The section `scaling:`; nil where there is none.
    package let scaling: ScalingSection?

    package init(_ settings: CarillonSettings, scaling: ScalingSection? = nil) {
        self.settings = settings
        self.scaling = scaling
        spring = nil
    }

    /// Reads Carillon's own settings with all sections that a server has; nil: `./carillon.yaml` where there is one.
    package init(
        file path: String?, environment: [String: String] = ProcessInfo.processInfo.environment, commandLine: [String: String] = [:]
    ) throws(SettingsError) {
        var scaling: ScalingSection?
        let settings = try SettingsFile.load(path, environment: environment, commandLine: commandLine) { reader throws(SettingsError) in
            if reader.has("scaling") { scaling = try ScalingSection(&reader) }
        }
        self.init(settings, scaling: scaling)
    }

    /// Reads the original server's `application.yml` or `.properties`. `commandLine` has Carillon's settings by their keys, such as
    /// `server.port`; they outrank the file. Behaves as the file says, so that it listens on every address and asks for no token where the
    /// original does.
    package init(
        springFile path: String, environment: [String: String] = ProcessInfo.processInfo.environment, commandLine: [String: String] = [:]
    ) throws(SettingsError) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw SettingsError(message: "the settings file \(path) cannot be read; is the path right?")
        }
        let spring: SpringSettings
        do {
            spring = try SpringSettings(documents: try PropertyFile.parse(Array(data), path: path), file: path, environment: environment)
        } catch {
            throw SettingsError(message: "\(error)")
        }
        var settings = try CarillonSettings(file: path, properties: [], environment: [:], commandLine: commandLine)
        if commandLine["server.port"] == nil { settings.server.port = spring.port ?? 8080 }
        if commandLine["server.address"] == nil { settings.server.address = spring.address ?? "0.0.0.0" }
        settings.server.tls = spring.tls.map { CarillonSettings.TLS(certificate: $0.certificate, key: $0.key) }
        settings.server.prefix = spring.prefix
        settings.server.acceptsEmpty = spring.acceptsEmpty
        settings.security = .open
        settings.user = spring.user.map { CarillonSettings.User(name: $0.name, password: $0.password) }
        if commandLine["binder"] == nil { settings.binder = spring.bus.isEnabled ? spring.broker?.uri ?? "local:" : "local:" }
        settings.monitor.guesses = true
        settings.bus.destination = spring.bus.destination
        settings.bus.application = spring.bus.application
        settings.bus.id = spring.bus.id
        settings.bus.acknowledges = spring.bus.acknowledges
        self.settings = settings
        self.spring = spring
        scaling = nil
    }

    /// Makes the server. Throws `SettingsError` and the like where the settings cannot be carried out.
    package func role(
        log: Log, metrics: Metrics = Metrics(), environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> ServerRole {
        let data = try StateFolder.prepare(settings.data)
        let embedded = CarillonSettings.Broker(uri: "local:\(data)/broker")
        func binder(_ broker: CarillonSettings.Broker) throws -> any Binder {
            try BinderURI(broker.uri).binder(
                name: settings.bus.application, token: broker.token, authorityFile: broker.authorityFile, log: log, metrics: metrics)
        }
        let broker = try settings.broker(settings.bus.binder) ?? embedded
        let channelBroker = try settings.broker(settings.channelBinder) ?? embedded
        let busBinder = try binder(broker)
        let channelBinder = channelBroker == broker ? nil : try binder(channelBroker)
        let repositories: RepositorySetup
        if let spring {
            for ignored in spring.ignored { log.info("a setting is ignored", ["key": ignored.key, "reason": ignored.reason]) }
            repositories = try RepositorySetup(spring, data: data, log: log)
        } else {
            repositories = try RepositorySetup(settings, data: data, log: log)
        }
        let sides = try bridgeSides(broker, busBinder, data: data, make: binder)
        var served = settings
        if scaling != nil { served.choosePort() }
        let id = try ServerRole.busID(served)
        var scalingRole: ScalingRole?
        if let scaling {
            let around = ScalingRole.Surroundings(
                binder: busBinder, channels: channelBinder ?? busBinder, channelsURI: channelBroker.uri, server: id.text,
                url: served.localURL, data: data, environment: environment, log: log, metrics: metrics)
            scalingRole = try ScalingRole(scaling, around)
        }
        return try ServerRole(
            served, repositories: repositories, binder: busBinder, channelBinder: channelBinder, bridgeSides: sides, scaling: scalingRole,
            id: id, data: data, log: log, metrics: metrics)
    }

    /// The buses that are to be joined, this server's own first; none where nothing is to be joined.
    private func bridgeSides(
        _ own: CarillonSettings.Broker, _ ownBinder: any Binder, data: String, make: (CarillonSettings.Broker) throws -> any Binder
    ) throws -> [BusBridge.Side] {
        guard !settings.bus.bridge.isEmpty else { return [] }
        let destination = try Destination(settings.bus.destination)
        let ownName = settings.binders.first { $0.value == own }?.key
        var sides = [BusBridge.Side(try side(ownName, own, data: data), ownBinder, destination: destination)]
        for name in settings.bus.bridge {
            let broker = try settings.bridged(name)
            let known = settings.binders[name] == nil ? nil : name
            sides.append(BusBridge.Side(try side(known, broker, data: data), try make(broker), destination: destination))
        }
        return sides
    }

    /// The name that a side has in the bridge's groups, which outlast this process. An embedded broker is this server's alone: another server's,
    /// joined with the same broker, must not share a group with it.
    private func side(_ name: String?, _ broker: CarillonSettings.Broker, data: String) throws -> String {
        if let place = try BinderURI(broker.uri).place { return name ?? place }
        let server = SHA256.hexadecimalDigest(of: ProcessInfo.processInfo.hostName + "\0" + data).prefix(12)
        return "\(name ?? "embedded")-\(server)"
    }
}
