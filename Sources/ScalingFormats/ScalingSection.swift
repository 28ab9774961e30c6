package import Autoscaler
internal import ConfigModel
internal import Foundation
internal import Options
package import Settings

/// The `scaling:` section of the settings: policies, and where each has its numbers from and its workers.
package struct ScalingSection: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package var policy: ScalingPolicy
        /// One for each queue condition, in their order.
        package var sources: [QueueSource]
        package var target: ScalingTargetSettings?
        /// Decides beside the policy on what that one sees, and changes nothing.
        package var shadow: ScalingPolicy?
    }

    /// Where KEDA asks; without it no port is opened.
    package struct KEDAListener: Sendable, Equatable {
        package var listen: String
        package var certificate: String?
        package var key: String?
        package var clientCA: String?
        package var isPlaintext = false
    }

    /// By name.
    package private(set) var entries: [Entry] = []
    package private(set) var keda: KEDAListener?
    /// Between two looks at what must be asked.
    package private(set) var poll: Seconds = 5
    /// For how long decisions are kept.
    package private(set) var keep: Seconds = 7 * 86400
    /// What the business says, by name, until an event on the bus says otherwise.
    package private(set) var parameters: [String: Double] = [:]

    /// Reads everything below `scaling`. Throws for a value that cannot be used; what is unknown is left to `refuseUnknown`.
    package init(_ reader: inout SettingsReader) throws(SettingsError) {
        poll = try Self.seconds(&reader, "scaling.poll", in: 1...3600) ?? poll
        keep = try Self.seconds(&reader, "scaling.keep", in: 3600...86400 * 366) ?? keep
        parameters = try Self.parameters(&reader)
        keda = try Self.keda(&reader)
        for name in reader.names(below: "scaling.policies") {
            let key = "scaling.policies.\(name)"
            guard name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }) else {
                throw reader.wrong(key, "is no name: letters, digits, `-` and `_` make one")
            }
            var sources: [QueueSource] = []
            let policy = try Self.policy(&reader, key, name: name, poll: poll, &sources)
            entries.append(
                Entry(policy: policy, sources: sources, target: try ScalingTargetSettings(&reader, key + ".target")))
        }
        for index in entries.indices { entries[index].shadow = try shadow(&reader, of: entries[index]) }
    }

    /// `shadow:` is the name of another policy, or what differs from the policy that it stands beside.
    private func shadow(_ reader: inout SettingsReader, of entry: Entry) throws(SettingsError) -> ScalingPolicy? {
        let key = "scaling.policies.\(entry.policy.name).shadow"
        guard reader.has(key) else { return nil }
        let shadow: ScalingPolicy
        if let name = reader.string(key), !name.isEmpty {
            guard let other = entries.first(where: { $0.policy.name == name }), name != entry.policy.name else {
                let names = entries.map(\.policy.name).filter { $0 != entry.policy.name }
                let near = Spelling.nearest(to: name, in: names).map { "; did you mean `\($0)`?" } ?? ""
                throw reader.wrong(key, "names `\(name)`, which is no other policy\(near)")
            }
            shadow = other.policy
        } else {
            var ignored: [QueueSource] = []
            shadow = try Self.policy(
                &reader, key, name: entry.policy.name + "-shadow", poll: entry.policy.poll, &ignored, beside: entry.policy)
        }
        guard shadow.queues.map(\.destination) == entry.policy.queues.map(\.destination) else {
            throw reader.wrong(key, "has other queues than the policy that it stands beside: it decides on what that one sees")
        }
        return shadow
    }

    private static func parameters(_ reader: inout SettingsReader) throws(SettingsError) -> [String: Double] {
        var values: [String: Double] = [:]
        for property in reader.everything(below: "scaling.parameters") {
            guard let value = Self.parameter(property.value.text) else {
                throw reader.wrong(
                    "scaling.parameters.\(property.key)", "is neither a number nor a moment such as 2026-11-27T08:00:00Z")
            }
            values[property.key] = value
        }
        return values
    }

    /// A value of the business as a number: a moment is seconds since 1970. Nil for what is neither, and for what is negative.
    package static func parameter(_ text: String) -> Double? {
        Reading(Double(text) ?? TimeText.parse(text)).value
    }

    /// Reads the section from a whole file, whatever else stands in it.
    package static func read(_ path: String, environment: [String: String] = [:]) throws(SettingsError) -> ScalingSection {
        let all = try SettingsFile.properties(of: path)
        let own = all.filter { $0.key == "scaling" || $0.key.hasPrefix("scaling.") || $0.key.hasPrefix("scaling[") }
        guard !own.isEmpty else {
            let roots = Set(all.map { String($0.key.prefix { $0 != "." && $0 != "[" }) })
            let near = Spelling.nearest(to: "scaling", in: roots.sorted())
            throw SettingsError(message: "\(path): no section `scaling`" + (near.map { "; is `\($0)` meant?" } ?? ""))
        }
        var reader = SettingsReader(file: path, properties: own, environment: environment, commandLine: [:])
        let section = try ScalingSection(&reader)
        try reader.refuseUnknown()
        guard !section.entries.isEmpty else { throw reader.wrong("scaling.policies", "names no policy") }
        return section
    }

    /// The policy of that name, or the only one.
    package func entry(named name: String?, of path: String) throws(SettingsError) -> Entry {
        let names = entries.map(\.policy.name)
        guard let name else {
            guard entries.count == 1 else {
                throw SettingsError(
                    message:
                        "\(path) has several policies: say which, such as \(path)#\(names.first ?? "") (\(names.joined(separator: ", ")))")
            }
            return entries[0]
        }
        guard let entry = entries.first(where: { $0.policy.name == name }) else {
            let near = Spelling.nearest(to: name, in: names).map { "did you mean `\($0)`?" }
            throw SettingsError(
                message: "\(path) has no policy `\(name)`; \(near ?? "it has \(names.joined(separator: ", "))")")
        }
        return entry
    }

    private static func policy(
        _ reader: inout SettingsReader, _ key: String, name: String, poll: Seconds, _ sources: inout [QueueSource],
        beside: ScalingPolicy? = nil
    ) throws(SettingsError) -> ScalingPolicy {
        let counts = 0...100_000
        let minimum = try reader.number(key + ".min", in: counts) ?? beside?.minimum ?? 0
        guard let maximum = try reader.number(key + ".max", in: 1...counts.upperBound) ?? beside?.maximum else {
            throw reader.wrong(key, "needs `max`, the most instances there may be")
        }
        guard minimum <= maximum else { throw reader.wrong(key + ".min", "is \(minimum), above `max`, which is \(maximum)") }
        guard let rate = try decimal(&reader, key + ".instance.rate", in: 1e-6...1e9) ?? beside?.instance.rate else {
            throw reader.wrong(key + ".instance", "needs `rate`, the messages a second that one busy instance does")
        }
        let start = try seconds(&reader, key + ".instance.start", in: 0...86400) ?? beside?.instance.start ?? 30
        var conditions: [ScalingCondition] = []
        for index in 0..<reader.count(of: key + ".conditions") {
            conditions.append(
                try ScalingConditions.read(&reader, "\(key).conditions[\(index)]", policy: name, poll: poll, &sources))
        }
        if conditions.isEmpty, let beside { conditions = beside.conditions }
        guard !conditions.isEmpty else {
            throw reader.wrong(key + ".conditions", "needs at least one of \(ScalingConditions.kinds.joined(separator: ", "))")
        }
        let hasQueue = !sources.isEmpty || beside?.queues.isEmpty == false
        for case .forecast in conditions where !hasQueue {
            throw reader.wrong(key + ".conditions", "has a forecast, which needs a queue whose arrivals it knows")
        }
        var policy = ScalingPolicy(
            name: name, minimum: minimum, maximum: maximum, conditions: conditions,
            instance: ScalingPolicy.InstanceBelief(rate: rate, start: start), poll: poll)
        policy.idle = try seconds(&reader, key + ".idle", in: 0...86400 * 7) ?? beside?.idle ?? policy.idle
        policy.downWindow = try seconds(&reader, key + ".down-window", in: 0...86400) ?? beside?.downWindow ?? policy.downWindow
        policy.fallback = try fallback(&reader, key + ".fallback", minimum...maximum) ?? beside?.fallback
        return policy
    }

    private static func fallback(
        _ reader: inout SettingsReader, _ key: String, _ range: ClosedRange<Int>
    ) throws(SettingsError) -> ScalingPolicy.Fallback? {
        guard reader.has(key) else { return nil }
        guard let count = try reader.number(key + ".count", in: range), let after = try seconds(&reader, key + ".after", in: 0...86400 * 7)
        else {
            throw reader.wrong(key, "needs `count`, and `after`, how long nothing must have been known")
        }
        return ScalingPolicy.Fallback(count: count, after: after)
    }

    private static func keda(_ reader: inout SettingsReader) throws(SettingsError) -> KEDAListener? {
        let key = "scaling.keda"
        guard reader.has(key) else { return nil }
        guard let listen = reader.string(key + ".listen") else { throw reader.wrong(key, "needs `listen`, such as 127.0.0.1:9500") }
        var keda = KEDAListener(listen: listen)
        keda.certificate = reader.string(key + ".tls.certificate")
        keda.key = reader.string(key + ".tls.key")
        keda.clientCA = reader.string(key + ".tls.client-ca")
        keda.isPlaintext = try reader.flag(key + ".plaintext") ?? false
        guard (keda.certificate == nil) == (keda.key == nil), keda.clientCA == nil || keda.key != nil else {
            throw reader.wrong(key + ".tls", "needs both `certificate` and `key`")
        }
        return keda
    }

    static func seconds(_ reader: inout SettingsReader, _ key: String, in range: ClosedRange<Seconds>) throws(SettingsError) -> Seconds? {
        guard let duration = try reader.duration(key) else { return nil }
        let seconds = duration / .seconds(1)
        guard range.contains(seconds) else {
            let texts = [range.lowerBound, range.upperBound].map { DurationText.render(.milliseconds(Int64($0 * 1000))) }
            throw reader.wrong(key, "needs a time from \(texts[0]) to \(texts[1])")
        }
        return seconds
    }

    static func decimal(_ reader: inout SettingsReader, _ key: String, in range: ClosedRange<Double>) throws(SettingsError) -> Double? {
        guard let text = reader.string(key) else { return nil }
        guard let number = Double(text), range.contains(number) else {
            throw reader.wrong(key, "needs a number from \(range.lowerBound) to \(range.upperBound), not `\(text)`")
        }
        return number
    }
}
