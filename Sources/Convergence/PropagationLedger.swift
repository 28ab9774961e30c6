package import Bus
package import Telemetry

/// Who was told what, and who answered: a value without clocks or I/O, fed with what is seen on the bus. Bounded in everything that comes from
/// outside; the oldest goes first.
package struct PropagationLedger: Sendable {
    package struct Limits: Sendable, Hashable {
        /// Changes that are kept.
        package var changes = 100
        /// Instances that are known at once.
        package var instances = 10_000
        /// Answers that are kept over all changes.
        package var answers = 200_000
        /// An instance that was not heard for this long is silent: three missed reports.
        package var silentAfter: Duration = .seconds(16 * 60)
        /// One that was not heard for this long is forgotten.
        package var forgottenAfter: Duration = .seconds(24 * 60 * 60)
        package init() {}
    }

    package let limits: Limits
    /// In the order in which they came.
    package private(set) var changes: [ChangeRecord] = []
    package private(set) var instances: [String: InstanceRecord] = [:]
    private var answerCount = 0
    private var lastSweep = Timestamp(milliseconds: 0)

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// Events of one version that come within this time are one change: a commit is told to each audience it concerns in an event of its own.
    private static let gathering: Int64 = 60_000
    /// Longer names are nobody's.
    private static let nameLimit = 512

    /// Takes a message that was sent or received at `now`; returns whether anything has changed.
    package mutating func record(_ message: BusMessage, at now: Timestamp) -> Bool {
        let event = message.event
        guard [event.origin, event.id, event.destination ?? ""].allSatisfy({ $0.utf8.count <= Self.nameLimit }) else { return false }
        instances[event.origin]?.heard = now
        switch event.kind {
        case .refresh: return begin(message, kind: .refresh, keys: message.details.keys, at: now)
        case .environmentChange(let values): return begin(message, kind: .environment, keys: values.map(\.name), at: now)
        case .acknowledgement(let acknowledgement): return answer(message, acknowledgement, at: now)
        case .shutdown, .custom, .untyped: return false
        }
    }

    private mutating func begin(_ message: BusMessage, kind: ChangeRecord.Kind, keys: [String], at now: Timestamp) -> Bool {
        let (event, details) = (message.event, message.details)
        let keys = keys.filter { $0.utf8.count <= Self.nameLimit }
        let destination = event.destination ?? DestinationPattern.everybody
        if let last = changes.indices.last, let version = details.version, changes[last].version == version, changes[last].kind == kind,
            now.milliseconds - changes[last].lastEvent.milliseconds < Self.gathering, changes[last].events.count < 1000,
            changes[last].destinations.count < 100
        {
            changes[last].events.insert(event.id)
            changes[last].lastEvent = now
            if !changes[last].destinations.contains(destination) { changes[last].destinations.append(destination) }
            changes[last].add(keys: keys, count: max(details.keyCount, keys.count))
            return true
        }
        var change = ChangeRecord(
            id: event.id, kind: kind, version: details.version, label: details.label, commit: details.commit, origin: event.origin,
            destinations: [destination], time: now)
        change.add(keys: keys, count: max(details.keyCount, keys.count))
        changes.append(change)
        while changes.count > limits.changes { dropOldestChange() }
        return true
    }

    private mutating func dropOldestChange() { answerCount -= changes.removeFirst().answers.count }

    private mutating func answer(_ message: BusMessage, _ acknowledgement: Acknowledgement, at now: Timestamp) -> Bool {
        let origin = message.event.origin
        let receipt = message.receipt
        switch receipt?.outcome {
        case .some(.none): return instances.removeValue(forKey: origin) != nil
        case .left: return instances.removeValue(forKey: origin) != nil
        default: break
        }
        know(origin, receipt, at: now)
        guard receipt?.outcome != .running, let id = acknowledgement.id,
            let index = changes.lastIndex(where: { $0.events.contains(id) })
        else { return true }
        if changes[index].answers.updateValue(Answer(receipt: receipt, at: now), forKey: origin) == nil { answerCount += 1 }
        while answerCount > limits.answers, changes.count > 1 { dropOldestChange() }
        return true
    }

    private mutating func know(_ origin: String, _ receipt: Receipt?, at now: Timestamp) {
        forget(at: now)
        if instances[origin] == nil, instances.count >= limits.instances,
            let oldest = instances.min(by: { $0.value.heard < $1.value.heard })?.key
        {
            instances.removeValue(forKey: oldest)
        }
        var record = instances[origin] ?? InstanceRecord(id: origin, heard: now)
        record.heard = now
        if let receipt {
            record.isCarillon = true
            if !receipt.application.isEmpty { record.application = receipt.application }
            record.profiles = receipt.profiles
            record.running = receipt.running
            record.outcome = receipt.outcome
            record.time = receipt.time
            record.error = receipt.error
        } else {
            record.time = now
        }
        instances[origin] = record
    }

    /// Looks through all instances at most once a minute.
    private mutating func forget(at now: Timestamp) {
        guard now.milliseconds - lastSweep.milliseconds >= 60_000 else { return }
        lastSweep = now
        let limit = now.milliseconds - limits.forgottenAfter.milliseconds
        instances = instances.filter { $0.value.heard.milliseconds >= limit }
    }
}

extension Duration {
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
