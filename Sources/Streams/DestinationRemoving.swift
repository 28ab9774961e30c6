/// A binder that can remove from the broker what it has made there.
package protocol DestinationRemoving: Sendable {
    /// Removes the destination with its events, its groups and their dead letters; does nothing where there is none. Whoever is subscribed
    /// goes on with a new one.
    func remove(_ destination: Destination) async throws(BinderError)

    /// Removes the group with what it has not done and its dead letters; does nothing where there is none.
    func remove(group: ConsumerGroup, of destination: Destination) async throws(BinderError)
}
