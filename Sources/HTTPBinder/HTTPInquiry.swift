package import Lifecycle
package import Streams

/// Asks another Carillon how far groups are behind, and nothing else.
package struct HTTPInquiry: BacklogReporting, Service {
    package let name = "channels"
    private let binder: HTTPBinder

    package init(configuration: HTTPBinderConfiguration) { binder = HTTPBinder(configuration: configuration) }

    /// There is nothing to keep: each question is a request.
    package func run(_ life: ServiceLife) async throws {
        life.started()
        await life.untilShutdown()
    }

    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        try await binder.backlog(of: destination, group: group)
    }

    package func backlogs(of groups: Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>] {
        await binder.backlogs(of: groups)
    }
}
