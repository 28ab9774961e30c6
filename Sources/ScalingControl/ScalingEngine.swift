package import Autoscaler
internal import Lifecycle
internal import Locking
package import Streams
package import Telemetry

/// The live control: reads the backlogs, looks at the orchestrators, asks the law, and carries out what it decides.
///
/// Every policy goes its own way: read, observe, decide, write down, tell, order. Nothing has an effect that was not written down and told before.
/// What one source or orchestrator does not answer keeps no other policy waiting.
package final class ScalingEngine: Service {
    package struct Configuration: Sendable {
        /// Between two looks at what must be asked.
        package var poll: Seconds = 5
        /// For how long decisions are kept.
        package var keep: Seconds = 7 * 86400
        /// What the business says, by name.
        package var parameters: [String: Double] = [:]
        /// Names this server among those that share the broker.
        package var server = Identifier.random()
        /// Whether other servers may have the same policies on this broker: then one of them leads.
        package var isShared = false
        /// Without a leader for so long, another one takes over.
        package var leaderLimit: Seconds = 10
        /// Between two words to the others; several times within the limit.
        package var beat: Duration = .milliseconds(1250)
        /// A report of an instance that is older counts as none.
        package var reportLimit: Seconds = 60
        /// How many orchestrators of a kind are asked at a time.
        package var width = 64
        package init() {}
    }

    package let name = "scaling"
    let configuration: Configuration
    let plans: [PlannedPolicy]
    let sources: [AskedSource]
    let clock: ScalingClock
    let ledger: Ledger
    let binder: any Binder
    let isRemote: Bool
    let log: Log
    let metrics: Metrics
    let places: [String: Int]
    /// For each source: the policies that use it, and which of its queues each needs.
    let users: [[(policy: Int, queue: Int)]]
    /// The policies that use each queue of each source: an event looks at these, not at all.
    let queueUsers: [[Int: [Int]]]
    /// The policies that ask the business for each parameter.
    let parameterUsers: [String: [Int]]
    /// One for each policy, in the order of the plans.
    let slots: [SlotLock]
    let permits: [String: Permits]

    struct State {
        var lease: LeaseState
        /// The term to lead in, where nobody else can.
        var aloneTerm: Int?
        var isOpen = false
        /// The leader is asked with the next beat for what was not heard.
        var asks = false
        /// The claim that was told last what only this server knows.
        var handedOver = 0
        var busySources: Set<Int> = []
        var hinted: Set<Int> = []
        var wake: ShutdownSignal?
        var resources: ResourceReports
        var parameters: BusinessParameters
        var drains = DrainBook()
        var drainSignals: [String: ShutdownSignal] = [:]
        var observers: [@Sendable (PolicyView) -> Void] = []
        var problem: String? = "the ledger is being opened"
    }
    let state: Locked<State>

    package init(
        _ plans: [PlannedPolicy], sources: [AskedSource], ledger: Ledger, binder: any Binder,
        configuration: Configuration = Configuration(),
        clock: ScalingClock = .system, log: Log = .silent, metrics: Metrics = Metrics()
    ) {
        self.plans = plans
        self.sources = sources
        self.ledger = ledger
        self.binder = binder
        isRemote = binder.capabilities.contains(.remote)
        self.configuration = configuration
        self.clock = clock
        self.log = log
        self.metrics = metrics
        places = Dictionary(plans.enumerated().map { ($0.element.policy.name, $0.offset) }, uniquingKeysWith: { first, _ in first })
        var users = [[(policy: Int, queue: Int)]](repeating: [], count: sources.count)
        for (index, plan) in plans.enumerated() { for queue in plan.queues { users[queue.source].append((index, queue.queue)) } }
        self.users = users
        // A policy may ask for one queue twice, and looks at it once.
        queueUsers = users.map { users in
            users.reduce(into: [:]) { all, user in
                if all[user.queue]?.last != user.policy { all[user.queue, default: []].append(user.policy) }
            }
        }
        var parameterUsers: [String: [Int]] = [:]
        for (index, plan) in plans.enumerated() {
            for case .parameter(let one) in plan.policy.conditions where parameterUsers[one.name]?.last != index {
                parameterUsers[one.name, default: []].append(index)
            }
        }
        self.parameterUsers = parameterUsers
        let now = (steady: clock.steady(), wall: clock.wall())
        slots = plans.enumerated().map { index, plan in
            SlotLock(PolicySlot(plan, image: nil, sameBoot: false, now: now, place: index))
        }
        let kinds = Set(plans.compactMap { $0.target.map(Self.kind) })
        permits = Dictionary(kinds.map { ($0, Permits(configuration.width)) }, uniquingKeysWith: { first, _ in first })
        state = Locked(
            State(
                lease: LeaseState(server: configuration.server, limit: configuration.leaderLimit, term: 0, now: now.steady),
                resources: ResourceReports(limit: configuration.reportLimit), parameters: BusinessParameters(configuration.parameters)))
        metrics.read { [weak self] metrics in self?.report(to: metrics) }
    }

    /// Orchestrators of one kind share their permits: a slow one holds up its like only.
    static func kind(_ target: any ScalingTarget) -> String { String(target.name.prefix { $0 != " " }) }

    func now() -> (steady: Seconds, wall: Seconds) { (ScalingClock.rounded(clock.steady()), ScalingClock.rounded(clock.wall())) }

    /// The term that this server leads in; nil: another one does, or nobody yet.
    package var term: Int? {
        let now = clock.steady()
        return state.withLock { state in state.isOpen ? state.aloneTerm ?? state.lease.leads(at: now) : nil }
    }

    /// Who leads, as far as is known.
    package var leader: String? { state.withLock { $0.aloneTerm != nil ? configuration.server : $0.lease.leaderName } }

    /// Why nothing is decided here; nil where all is well.
    package var problem: String? { state.withLock { $0.problem } }

    package var policyNames: [String] { plans.map(\.policy.name) }

    /// Calls `observer` with a policy after each decision of it, from any task; it must not block.
    package func observe(_ observer: @escaping @Sendable (PolicyView) -> Void) { state.withLock { $0.observers.append(observer) } }

    /// Opens the ledger and rebuilds what policies remember. Called by `run`; tests that drive the rounds themselves call it first.
    package func open() async throws {
        let (images, term, sameBoot) = try await ledger.open(boot: clock.boot)
        let now = now()
        for (index, plan) in plans.enumerated() {
            guard let image = images[plan.policy.name] else { continue }
            slots[index].withLock { slot in
                slot = PolicySlot(plan, image: image, sameBoot: sameBoot, now: now, place: index)
            }
        }
        state.withLock { state in
            state.lease = LeaseState(server: configuration.server, limit: configuration.leaderLimit, term: term, now: now.steady)
        }
        if !configuration.isShared { try await lead(in: term + 1) }
        state.withLock { state in
            state.isOpen = true
            state.problem = nil
        }
    }

    /// Nobody else can lead.
    private func lead(in term: Int) async throws {
        try await ledger.append([.term(term)], at: clock.wall())
        state.withLock { $0.aloneTerm = term }
    }

    func fail(_ reason: String?) { state.withLock { $0.problem = reason } }
}
