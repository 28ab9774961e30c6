package import Autoscaler
internal import JSON
internal import Locking
internal import ScalingFormats

/// What instances reported of their resources, until it is too old. A value.
package struct ResourceReports: Sendable {
    private struct Report: Sendable {
        var values: [String: Double]
        var instant: Seconds
    }
    /// An older report counts as none.
    private let limit: Seconds
    /// Bounds what somebody can make us keep.
    private static let maximum = 10_000
    private var reports: [String: [String: Report]] = [:]

    package init(limit: Seconds) { self.limit = limit }

    package mutating func take(policy: String, instance: String, _ values: [String: Double], at now: Seconds) {
        var known = reports[policy] ?? [:]
        known = known.filter { now - $0.value.instant <= limit }
        guard known[instance] != nil || known.count < Self.maximum else { return }
        known[instance] = Report(values: values, instant: now)
        reports[policy] = known
    }

    /// The mean over those ready, and how old the oldest is. Fewer reports than half of those ready are none: the rest may be the busy ones.
    package func reading(of resource: String, policy: String, ready: Int, at now: Seconds) -> Reading {
        let values = (reports[policy] ?? [:]).values.filter { now - $0.instant <= limit }.compactMap { report in
            report.values[resource].map { (value: $0, age: now - report.instant) }
        }
        guard !values.isEmpty, values.count * 2 >= ready else { return .unknown }
        return Reading(
            values.reduce(0) { $0 + $1.value } / Double(values.count), age: ScalingClock.rounded(values.map(\.age).max() ?? 0))
    }

    /// `{"policy", "instance", "resources": {"cpu": 0.8}}`; nil for what is none.
    static func parse(_ payload: [UInt8]) -> (policy: String, instance: String, values: [String: Double])? {
        guard let value = try? JSONReader.read(payload), let policy = value["policy"]?.string, let instance = value["instance"]?.string
        else { return nil }
        var values: [String: Double] = [:]
        for member in (value["resources"]?.members ?? []).prefix(50) {
            guard case .number(let digits) = member.value, let number = Double(digits), number.isFinite, number >= 0 else { continue }
            values[member.name] = number
        }
        return (policy, instance, values)
    }
}

/// What the business says, by name: from the settings, and from the bus until it is taken back or is too old. A value.
package struct BusinessParameters: Sendable {
    private let settings: [String: Double]
    /// What the configuration says that this server serves, as it is written there.
    private var served: [String: String] = [:]
    private var told: [String: (value: Double?, instant: Seconds)] = [:]

    package init(_ settings: [String: Double]) { self.settings = settings }

    /// Takes over what the served configuration says now; returns the names whose value is another one.
    package mutating func serve(_ values: [String: String]) -> Set<String> {
        defer { served = values }
        return Set(values.keys).union(served.keys).filter { values[$0] != served[$0] }
    }

    /// Takes a value from the bus. An empty text takes it back: what the configuration says counts again. What is neither a number nor a moment is
    /// unknown. `names`: those that policies ask for; others are left alone.
    package mutating func tell(_ name: String, _ text: String, among names: Set<String>, at now: Seconds) -> Bool {
        guard names.contains(name) else { return false }
        told[name] = text.isEmpty ? nil : (ScalingSection.parameter(text), now)
        return true
    }

    package func reading(of name: String, at now: Seconds) -> Reading {
        guard let one = told[name] else { return Reading(served[name].map(ScalingSection.parameter) ?? settings[name]) }
        return Reading(one.value, age: ScalingClock.rounded(now - one.instant))
    }
}

/// Whom a stop of an instance waits for: those that said that they drain when told to. A value.
package struct DrainBook: Sendable {
    private var takesPart: Set<String> = []
    private var waiting: [String: Set<String>] = [:]

    package init() {}

    package mutating func joined(_ instance: String) { if takesPart.count < 100_000 { takesPart.insert(instance) } }

    /// Those of the instances that are waited for under `request`.
    package mutating func begin(_ request: String, _ instances: [String]) -> Set<String> {
        let wanted = Set(instances).intersection(takesPart)
        waiting[request] = wanted
        return wanted
    }

    /// An instance has nothing in hand any more; returns the requests that are done by it.
    package mutating func drained(_ instance: String) -> [String] {
        takesPart.remove(instance)
        var done: [String] = []
        for (request, left) in waiting where left.contains(instance) {
            waiting[request]?.remove(instance)
            if left.count == 1 { done.append(request) }
        }
        return done
    }

    /// Those that are still waited for.
    package func left(_ request: String) -> Set<String> { waiting[request] ?? [] }

    package mutating func end(_ request: String) { waiting[request] = nil }
}
