package import Bus
package import Telemetry

/// One instance as a view shows it.
package struct InstanceView: Sendable, Hashable {
    package var instance: String
    package var application: String
    package var profiles: [String]
    package var running: RunningConfiguration
    /// `applied`, `unchanged`, `failed`, `running`; `received` for an acknowledgement without a receipt, `silent` for no answer.
    package var outcome: String
    /// Of the answer; for silent ones when they were last heard.
    package var time: Timestamp
    package var error: String?
    /// Whether it runs what the view asks for.
    package var hasConverged: Bool
    /// Whether the change that the view asks for was for it.
    package var isConcerned = true

    package static let silent = "silent"
    package static let received = "received"
}

extension PropagationLedger {
    /// A change by the id of one of its events, or by its version or the beginning of it (seven characters or more); of several the newest.
    package func change(_ name: String) -> ChangeRecord? {
        changes.last { $0.events.contains(name) }
            ?? changes.last { $0.version == name }
            ?? (name.utf8.count >= 7 ? changes.last { $0.version?.hasPrefix(name) == true } : nil)
    }

    package func isSilent(_ record: InstanceRecord, at now: Timestamp) -> Bool {
        now.milliseconds - record.heard.milliseconds > limits.silentAfter.milliseconds
    }

    /// All that the change was for and all that answered it, by application and id.
    package func rows(of change: ChangeRecord, at now: Timestamp) -> [InstanceView] {
        var names = Set(change.answers.keys)
        for (id, _) in instances where change.destinations.contains(where: { DestinationPattern.isFor($0, id: id) }) { names.insert(id) }
        let newer = newerVersions(than: change)
        return names.map { row($0, change, newer) }.sorted { ($0.application, $0.instance) < ($1.application, $1.instance) }
    }

    private func row(_ id: String, _ change: ChangeRecord, _ newer: Set<String>) -> InstanceView {
        let known = instances[id]
        let record = known ?? InstanceRecord(id: id, heard: Timestamp(milliseconds: 0))
        var view = InstanceView(
            instance: id, application: record.application, profiles: record.profiles, running: record.running, outcome: InstanceView.silent,
            time: record.heard, error: nil, hasConverged: false)
        func runs(_ version: String?) -> Bool { version.map { $0 == change.version || newer.contains($0) } ?? false }
        if let answer = change.answers[id] {
            view.outcome = answer.outcome?.rawValue ?? InstanceView.received
            view.running = answer.running
            view.time = answer.time
            view.error = answer.error
            switch answer.outcome {
            case nil: view.hasConverged = true
            // What is served now is what it runs already; the version in which it got that may be older.
            case .unchanged: view.hasConverged = true
            case .applied: view.hasConverged = change.version == nil || answer.running.version == nil || runs(answer.running.version)
            default: break
            }
        }
        // What it told later counts, too: a failed one may have caught up, one that was away has started with it.
        if !view.hasConverged, let known, change.version != nil, runs(known.running.version), known.outcome != .failed {
            view.hasConverged = true
            view.outcome = known.outcome?.rawValue ?? InstanceView.received
            view.running = known.running
            view.time = known.time
            view.error = nil
        }
        return view
    }

    /// Versions of changes that came later.
    private func newerVersions(than change: ChangeRecord) -> Set<String> {
        guard let index = changes.lastIndex(where: { $0.id == change.id }) else { return [] }
        return Set(changes[(index + 1)...].compactMap(\.version))
    }

    /// All known instances with what they run now. With a version that was announced here, `isConcerned` tells those it was for, and their
    /// `hasConverged` is that of the change; with another version everybody is concerned; without one, whoever is not silent has converged.
    package func fleet(version: String?, at now: Timestamp) -> [InstanceView] {
        let change = version.flatMap { self.change($0) }
        let concerned = change.map { Dictionary(rows(of: $0, at: now).map { ($0.instance, $0) }) { first, _ in first } }
        return instances.values.map { record in
            let silent = isSilent(record, at: now)
            var view = InstanceView(
                instance: record.id, application: record.application, profiles: record.profiles, running: record.running,
                outcome: silent ? InstanceView.silent : record.outcome?.rawValue ?? InstanceView.received,
                time: silent ? record.heard : record.time, error: record.error, hasConverged: version == nil && !silent)
            if let concerned {
                view.isConcerned = concerned[record.id] != nil
                view.hasConverged = concerned[record.id]?.hasConverged ?? false
            } else if let version, let running = record.running.version {
                view.hasConverged = running == version || version.utf8.count >= 7 && running.hasPrefix(version)
            }
            return view
        }.sorted { ($0.application, $0.instance) < ($1.application, $1.instance) }
    }
}

extension [InstanceView] {
    /// Whether all that are concerned run what is asked for. Silent ones are waited for until they are forgotten; nobody at all, or fewer than
    /// `least`, is no fleet that has converged.
    package func haveConverged(least: Int = 1) -> Bool {
        let concerned = filter(\.isConcerned)
        return concerned.count >= Swift.max(1, least) && concerned.allSatisfy(\.hasConverged)
    }
}
