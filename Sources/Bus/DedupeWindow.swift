/// Remembers the ids of the latest events, so that one that arrives twice is applied once. Bounded: the oldest id is forgotten first.
package struct DedupeWindow: Sendable {
    private var ids: Set<String> = []
    private var ring: [String] = []
    private var next = 0
    private let capacity: Int

    package init(capacity: Int = 4096) { self.capacity = max(1, capacity) }

    /// Whether the id is new; it is known from then on.
    package mutating func insert(_ id: String) -> Bool {
        let id = Self.bounded(id)
        guard ids.insert(id).inserted else { return false }
        if ring.count < capacity {
            ring.append(id)
        } else {
            ids.remove(ring[next])
            ring[next] = id
            next = (next + 1) % capacity
        }
        return true
    }

    /// Forgets an id whose event was never sent.
    package mutating func remove(_ id: String) {
        let id = Self.bounded(id)
        guard ids.remove(id) != nil else { return }
        ring = (ring[next...] + ring[..<next]).filter { $0 != id }  // the oldest first, as `next` wants it when the ring is full again
        next = 0
    }

    package func contains(_ id: String) -> Bool { ids.contains(Self.bounded(id)) }

    /// An id may be as long as a sender likes; what is kept of it may not.
    private static func bounded(_ id: String) -> String { id.utf8.count <= 128 ? id : "\(id.utf8.count) \(id.hashValue)" }

    package var count: Int { ids.count }
}
