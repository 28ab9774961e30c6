import Streams

/// What a bridge knows of the messages that it has seen, and what it does with the next one: a value without I/O.
///
/// A message that has been on a side is never carried there again. Two things tell it, each of which ends a loop alone: the hop header names the
/// bridges that it has passed, and the memory knows its origin and id. The memory is for what comes back by a way that drops headers, and it
/// keeps copies few where several bridges stand side by side.
struct BridgeMemory: Sendable {
    enum Verdict: Sendable, Hashable {
        /// To be published with this hop header.
        case carry(hops: String)
        case drop(Reason)
    }
    enum Reason: String, Sendable, Hashable {
        /// It has passed this bridge before.
        case loop
        /// It is on the other side already.
        case known
        /// It has passed more bridges than any sensible fleet has.
        case hops = "too many hops"
    }

    /// What a message is known again by.
    enum Identity: Sendable, Hashable {
        case event(origin: String, id: String)
        /// No event, or one whose body has no id: its bytes and the id of its envelope. The bytes alone are not enough: a refresh without an id
        /// that is published twice by hand means two.
        case content(Int)
    }

    private struct Place: Hashable {
        let identity: Identity
        let side: Int
    }
    /// Names of bridges in a hop header; more are refused.
    static let hopLimit = 8

    private let name: String
    private var known: RecentSet<Place>

    init(name: String, capacity: Int = 32_768) {
        self.name = name
        known = RecentSet(capacity: capacity)
    }

    /// What becomes of a message that arrived on side `from` and would go to side `to`; `hops` is its hop header.
    mutating func arrived(_ identity: Identity, from: Int, to: Int, hops: String?) -> Verdict {
        _ = known.insert(Place(identity: identity, side: from))
        let passed = (hops ?? "").split(separator: ",").map { String($0) }
        if passed.contains(name) { return .drop(.loop) }
        if known.contains(Place(identity: identity, side: to)) { return .drop(.known) }
        guard passed.count < Self.hopLimit else { return .drop(.hops) }
        return .carry(hops: (passed + [name]).joined(separator: ","))
    }

    /// The broker of side `to` has confirmed the message.
    mutating func carried(_ identity: Identity, to: Int) { _ = known.insert(Place(identity: identity, side: to)) }
}

extension BridgeMemory.Identity {
    init(_ event: BusEvent?, _ envelope: Envelope) {
        // What is longer than any sender makes it is not kept as it is.
        if let event, !event.id.isEmpty, event.origin.utf8.count + event.id.utf8.count <= 512 {
            self = .event(origin: event.origin, id: event.id)
        } else {
            var hasher = Hasher()
            hasher.combine(envelope.id)
            hasher.combine(envelope.payload)
            self = .content(hasher.finalize())
        }
    }
}
