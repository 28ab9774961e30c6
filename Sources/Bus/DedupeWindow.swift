/// Remembers the ids of the latest events, so that one that arrives twice is applied once. Bounded: the oldest id is forgotten first.
package struct DedupeWindow: Sendable {
    private var ids: RecentSet<String>

    package init(capacity: Int = 4096) { ids = RecentSet(capacity: capacity) }

    /// Whether the id is new; it is known from then on.
    package mutating func insert(_ id: String) -> Bool { ids.insert(Self.bounded(id)) }

    /// Forgets an id whose event was never sent.
    package mutating func remove(_ id: String) { ids.remove(Self.bounded(id)) }

    package func contains(_ id: String) -> Bool { ids.contains(Self.bounded(id)) }

    /// An id may be as long as a sender likes; what is kept of it may not.
    private static func bounded(_ id: String) -> String { id.utf8.count <= 128 ? id : "\(id.utf8.count) \(id.hashValue)" }

    package var count: Int { ids.count }
}
