package import Lifecycle
internal import Locking
package import Streams
internal import Telemetry

/// Asks a RabbitMQ broker how far groups are behind, and does nothing else there: by its management API in one request for all of them; where that
/// is not to be had, queue by queue over one AMQP connection, which does not tell what members have in hand.
package final class RabbitMQInquiry: BacklogReporting, Service {
    package let name = "rabbitmq"
    private let configuration: RabbitMQConfiguration
    private let inspection: Inspection
    private let management: RabbitMQManagement?
    private let state = Locked(State())

    private struct State {
        /// Why the management API was not to be had, and until when it is not asked again.
        var problem: String?
        var pauseEnd: ContinuousClock.Instant?
        /// Whether it counts messages; nil: not asked yet.
        var counts: Bool?
    }

    /// A management API that did not answer is asked again after this time: AMQP answers meanwhile.
    private static let pause = Duration.seconds(60)

    package init(configuration: RabbitMQConfiguration) {
        self.configuration = configuration
        inspection = Inspection(configuration)
        management = configuration.management.url(configuration).map { RabbitMQManagement(url: $0, configuration) }
    }

    /// It can be asked before; the end of it closes the connection.
    package func run(_ life: ServiceLife) async throws {
        life.started()
        await life.untilShutdown()
        inspection.end()
    }

    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        let one = DestinationGroup(destination, group)
        guard let answer = await backlogs(of: [one])[one] else { throw BinderError(.cancelled, "asking RabbitMQ for \(one) was cancelled") }
        return try answer.get()
    }

    package func backlogs(of groups: Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>] {
        guard let management else {
            return await inspection.backlogs(of: groups, configuration, note: "the management API is not asked: `management=none`")
        }
        let waiting = state.withLock { state in state.pauseEnd.map { $0 > .now } ?? false ? state.problem : nil }
        if let waiting { return await inspection.backlogs(of: groups, configuration, note: waiting) }
        do throws(RabbitMQManagement.Problem) {
            let counts = try await counts(management)
            let found = ManagementAnswer(try await management.queues(), counts: counts, name: management.name)
            let now = Timestamp.now.milliseconds
            return groups.reduce(into: [:]) { $0[$1] = found.backlog(of: $1, configuration, now: now) }
        } catch {
            state.withLock { state in
                state.problem = error.text
                state.pauseEnd = .now + Self.pause
                state.counts = nil
            }
            return await inspection.backlogs(of: groups, configuration, note: error.text)
        }
    }

    private func counts(_ management: RabbitMQManagement) async throws(RabbitMQManagement.Problem) -> Bool {
        if let known = state.withLock({ $0.counts }) { return known }
        let counts = try await management.counts()
        state.withLock { $0.counts = counts }
        return counts
    }
}
