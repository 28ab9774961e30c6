package import Lifecycle
import Locking
package import Streams
import ThreadExecutor

/// Asks a Kafka cluster how far groups are behind, over one client, and does nothing else there.
package final class KafkaInquiry: BacklogReporting, Service {
    package let name = "kafka"
    private let configuration: KafkaConfiguration
    private let executor = ThreadExecutor(name: "kafka-inquiry")
    private let state = Locked(State())

    private struct State {
        var admin: KafkaAdmin?
        var isClosed = false
        var known = KnownPartitions()
    }

    package init(configuration: KafkaConfiguration) { self.configuration = configuration }

    deinit { executor.stop() }

    /// It can be asked before; the end of it closes the client.
    package func run(_ life: ServiceLife) async throws {
        life.started()
        await life.untilShutdown()
        // The end of the library's client takes a moment, on a thread that may wait for it.
        executor.submit { [self] in
            let admin = state.withLock { state in
                defer { state.admin = nil }
                state.isClosed = true
                return state.admin
            }
            withExtendedLifetime(admin) {}
        }
    }

    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        let one = DestinationGroup(destination, group)
        guard let answer = await backlogs(of: [one])[one] else { throw BinderError(.broken, "Kafka said nothing of \(one)") }
        return try answer.get()
    }

    package func backlogs(of groups: Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>] {
        await withCheckedContinuation { continuation in
            executor.submit { [self] in continuation.resume(returning: ask(groups)) }
        }
    }

    /// On the thread.
    private func ask(_ groups: Set<DestinationGroup>) -> [DestinationGroup: Result<Backlog, BinderError>] {
        do throws(BinderError) {
            let admin = try client()
            // Nobody else is on this thread; the lock is not held while brokers are asked.
            var known = state.withLock { $0.known }
            let answers = BacklogQuestion(groups, configuration).ask(admin, &known)
            state.withLock { [known] in $0.known = known }
            return answers
        } catch {
            return groups.reduce(into: [:]) { $0[$1] = .failure(error) }
        }
    }

    private func client() throws(BinderError) -> KafkaAdmin {
        let (admin, isClosed) = state.withLock { ($0.admin, $0.isClosed) }
        if isClosed { throw BinderError(.closed, "the connection to Kafka is closed") }
        if let admin { return admin }
        let made = try KafkaAdmin(configuration)
        state.withLock { if !$0.isClosed { $0.admin = made } }
        return made
    }
}
