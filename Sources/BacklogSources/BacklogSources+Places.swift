package import Autoscaler

extension BacklogSources {
    /// One place, for whoever asks each by itself so that a slow one keeps nobody waiting who asks another.
    package struct AskedPlace: Sendable {
        /// For people, without secrets.
        package let name: String
        /// The conditions that it serves.
        package let keys: [QueueKey]
        private let place: any Place

        init(_ place: any Place) {
            self.place = place
            name = place.name
            keys = place.served
        }

        /// What it says of these conditions, and perhaps of others; takes no longer than `limit`.
        package func read(_ wanted: Set<QueueKey>, within limit: Duration) async -> [(QueueKey, QueueReport)] {
            await place.read(wanted, within: limit)
        }

        /// As `BacklogSource.watch`.
        package func watch(_ changed: @escaping @Sendable (QueueKey) -> Void) async { await place.watch(changed) }
    }

    package var askedPlaces: [AskedPlace] { places.map { AskedPlace($0) } }
}
