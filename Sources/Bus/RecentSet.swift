/// The latest elements of a stream, each once. Bounded: the oldest is forgotten first.
struct RecentSet<Element: Hashable & Sendable>: Sendable {
    private var elements: Set<Element> = []
    private var ring: [Element] = []
    private var next = 0
    private let capacity: Int

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Whether the element is new; it is known from then on.
    mutating func insert(_ element: Element) -> Bool {
        guard elements.insert(element).inserted else { return false }
        if ring.count < capacity {
            ring.append(element)
        } else {
            elements.remove(ring[next])
            ring[next] = element
            next = (next + 1) % capacity
        }
        return true
    }

    mutating func remove(_ element: Element) {
        guard elements.remove(element) != nil else { return }
        ring = (ring[next...] + ring[..<next]).filter { $0 != element }  // the oldest first, as `next` wants it when the ring is full again
        next = 0
    }

    func contains(_ element: Element) -> Bool { elements.contains(element) }

    var count: Int { elements.count }
}
