package import Streams
package import Telemetry

/// What a Carillon instance tells about itself in the headers of an acknowledgement, or of a report that answers no event.
package struct Receipt: Sendable, Hashable {
    package enum Outcome: String, Sendable, Hashable, CaseIterable {
        /// The instance took the event over and now runs `version`.
        case applied
        /// It already ran that configuration.
        case unchanged
        /// It could not take it over and runs what it ran before; `error` says why.
        case failed
        /// No event: a report of what it runs.
        case running
        /// The instance ends: nobody needs to wait for it.
        case left
        /// It passes events on and runs no configuration of its own, such as the server.
        case none
    }

    /// The bus id.
    package var instance: String
    package var application: String
    package var profiles: [String]
    package var running: RunningConfiguration
    package var outcome: Outcome
    /// When the instance had done it, by its own clock.
    package var time: Timestamp
    /// Why it failed, without values of properties.
    package var error: String?

    package init(
        instance: String, application: String, profiles: [String], running: RunningConfiguration, outcome: Outcome, time: Timestamp = .now,
        error: String? = nil
    ) {
        self.instance = instance
        self.application = application
        self.profiles = profiles
        self.running = running
        self.outcome = outcome
        self.time = time
        self.error = error
    }

    /// Longer error texts are cut.
    package static let errorLimit = 1000

    package var headers: [String: HeaderValue] {
        var headers: [String: HeaderValue] = [
            BusHeader.instance: .string(instance), BusHeader.application: .string(application),
            BusHeader.profiles: .string(profiles.joined(separator: ",")), BusHeader.outcome: .string(outcome.rawValue),
            BusHeader.time: .integer(time.milliseconds),
        ]
        if let label = running.label { headers[BusHeader.label] = .string(label) }
        if let version = running.version { headers[BusHeader.version] = .string(version) }
        if let hash = running.hash { headers[BusHeader.hash] = .string(hash) }
        if let error { headers[BusHeader.error] = .string(Self.cut(error)) }
        return headers
    }

    /// Reads the headers of an acknowledgement whose body came from `origin`; nil where they are none of ours.
    package init?(headers: [String: HeaderValue], origin: String) {
        guard let outcome = BusHeader.text(headers, BusHeader.outcome).flatMap(Outcome.init(rawValue:)) else { return nil }
        self.init(
            instance: BusHeader.text(headers, BusHeader.instance) ?? origin,
            application: BusHeader.text(headers, BusHeader.application) ?? "",
            profiles: (BusHeader.text(headers, BusHeader.profiles) ?? "").split(separator: ",").map(String.init),
            running: RunningConfiguration(
                label: BusHeader.text(headers, BusHeader.label), version: BusHeader.text(headers, BusHeader.version),
                hash: BusHeader.text(headers, BusHeader.hash)),
            outcome: outcome, time: headers[BusHeader.time]?.integer.map(Timestamp.init(milliseconds:)) ?? .now,
            error: BusHeader.text(headers, BusHeader.error).map(Self.cut))
    }

    private static func cut(_ text: String) -> String {
        let line = String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 ? " " : $0 }))
        return line.utf8.count <= errorLimit ? line : String(line.prefix(errorLimit / 4)) + "…"
    }
}

/// The configuration that an instance runs.
package struct RunningConfiguration: Sendable, Hashable {
    package var label: String?
    /// The version that its environment was served with.
    package var version: String?
    /// Content hash of its merged environment.
    package var hash: String?
    package init(label: String? = nil, version: String? = nil, hash: String? = nil) {
        self.label = label
        self.version = version
        self.hash = hash
    }
}
