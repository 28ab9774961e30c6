package import Autoscaler
internal import Binders
package import Lifecycle
package import ScalingFormats
package import Settings
package import Streams
package import Telemetry

/// Where all policies have their numbers from: one source for each place, however many policies ask it, and one question for all that they want to
/// know of it.
package final class BacklogSources: Service {
    package let name = "backlog sources"
    let places: [any Place]
    /// Conditions of each policy.
    private let counts: [String: Int]
    /// What has to run for its connection to stand.
    private let inquiries: [any Service]
    private let embedded: any Binder
    /// The groups of the embedded broker: it is ours, and keeps for them what comes before the first worker does.
    private let ownGroups: Set<DestinationGroup>
    private let log: Log

    /// `embedded` is the server's own broker, which conditions without a source mean; `uri` is its URI where it is a broker outside. `token` and
    /// `authorityFile` are for sources that are other Carillons. Throws for what cannot be asked, naming policy and remedy.
    package init(
        _ entries: [ScalingSection.Entry], embedded: any Binder, uri: String = "local:", token: String? = nil, authorityFile: String? = nil,
        stuckLimit: Duration = .seconds(300), log: Log = .silent
    ) throws(SettingsError) {
        var plan = SourcePlan(ownURI: uri)
        for entry in entries {
            for (index, (condition, source)) in zip(entry.policy.queues, entry.sources).enumerated() {
                try plan.add(QueueKey(policy: entry.policy.name, index: index), condition, source)
            }
        }
        var places: [any Place] = []
        var inquiries: [any Service] = []
        if !plan.embedded.isEmpty {
            guard let reporting = embedded as? any BacklogReporting else {
                throw SettingsError(message: "\(embedded.name) tells no backlog: name a `source` in the queues of scaling.policies")
            }
            places.append(PlaceOf(BrokerSource(name: "the embedded broker", reporting, stuckLimit: stuckLimit), plan.embedded))
        }
        for (uri, wanted) in plan.brokers.sorted(by: { $0.key < $1.key }) {
            let broker = try BinderURI(uri)
            do {
                let inquiry = try broker.inquiry(
                    token: token, authorityFile: authorityFile, partitions: plan.partitions[uri] ?? [:], log: log)
                places.append(PlaceOf(BrokerSource(name: broker.shown, inquiry, stuckLimit: stuckLimit), wanted))
                inquiries.append(inquiry)
            } catch {
                throw SettingsError(message: "scaling.policies.\(wanted[0].key.policy): \((error as? BinderError)?.message ?? "\(error)")")
            }
        }
        let page = Page()
        for (url, wanted) in plan.pages.sorted(by: { $0.key < $1.key }) { places.append(PlaceOf(PageSource(url: url, page: page), wanted)) }
        for (url, wanted) in plan.prometheus.sorted(by: { $0.key < $1.key }) {
            places.append(PlaceOf(PrometheusSource(url: url, page: page), wanted))
        }
        self.places = places
        self.inquiries = inquiries
        self.embedded = embedded
        self.log = log
        ownGroups = Set(plan.embedded.map(\.queue))
        counts = Dictionary(entries.map { ($0.policy.name, $0.policy.queues.count) }) { first, _ in first }
    }

    /// What is known now, for each policy a report of each of its queue conditions, in their order. Asks all places at once, and waits for none
    /// longer than `limit`.
    package func readAll(within limit: Duration) async -> [String: [QueueReport]] {
        var all = counts.mapValues { [QueueReport](repeating: .unknown("nobody was asked"), count: $0) }
        await withTaskGroup(of: [(QueueKey, QueueReport)].self) { tasks in
            for place in places { tasks.addTask { await place.read(nil, within: limit) } }
            for await reports in tasks {
                for (key, report) in reports { all[key.policy]?[key.index] = report }
            }
        }
        return all
    }

    /// Keeps the connections until shutdown. A place that fails is unknown and ends nothing.
    package func run(_ life: ServiceLife) async throws {
        await withTaskGroup(of: Void.self) { tasks in
            for inquiry in inquiries {
                tasks.addTask { [log] in
                    // Cancelled instead of told: it only asks, and a question that nobody answers is no reason to stay.
                    do { _ = try await life.cancelOnShutdown { try await inquiry.run(ServiceLife()) } } catch {
                        log.error("a source of backlogs has failed", ["source": inquiry.name, "error": "\(error)"])
                    }
                }
            }
            tasks.addTask { [self] in _ = try? await life.cancelOnShutdown { await self.prepare() } }
            life.started()
            await life.untilShutdown()
        }
    }

    /// Makes the groups that policies name in the embedded broker.
    private func prepare() async {
        var backOff = BackOff(first: .milliseconds(500), longest: .seconds(15))
        for one in ownGroups {
            while !Task.isCancelled {
                do throws(BinderError) {
                    try await embedded.prepare(group: one.group, of: one.destination)
                    break
                } catch {
                    log.warning(
                        "a group could not be made", ["destination": one.destination.name, "group": one.group.name, "error": error.message])
                    try? await Task.sleep(for: backOff.next())  // between two tries
                }
            }
        }
    }
}
