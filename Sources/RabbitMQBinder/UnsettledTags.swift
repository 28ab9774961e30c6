import Streams

/// The delivery tags that one channel has handed out, and how they are acknowledged with the fewest frames.
struct UnsettledTags {
    private enum State { case open, done, told }
    private var first: UInt64 = 1
    private var states = FIFO<State>()

    struct Acknowledgement: Equatable {
        var tag: UInt64
        var multiple: Bool
    }

    /// A delivery came. Tags come in order; one that does not fit says that the peer does not count as AMQP asks.
    mutating func add(_ tag: UInt64) -> Bool {
        guard tag == first + UInt64(states.count) else { return false }
        states.append(.open)
        return true
    }

    /// The broker is told about this one by itself (a rejection). False when it was settled before.
    mutating func told(_ tag: UInt64) -> Bool { mark(tag, .told) }

    /// This one is finished; `acknowledgements(for:)` says how the broker hears of it. False when it was settled before.
    mutating func done(_ tag: UInt64) -> Bool { mark(tag, .done) }

    /// What to tell the broker for these finished deliveries: one frame for all at the front, one for each behind a gap.
    mutating func acknowledgements(for tags: [UInt64]) -> [Acknowledgement] {
        var acknowledgements: [Acknowledgement] = []
        var last: UInt64?
        var covered = 0
        while let state = states.first, state != .open {
            if state == .done {
                last = first
                covered += 1
            }
            _ = states.popFirst()
            first += 1
        }
        if let last { acknowledgements.append(Acknowledgement(tag: last, multiple: covered > 1)) }
        for tag in tags where tag >= first && states[Int(tag - first)] == .done {
            states[Int(tag - first)] = .told
            acknowledgements.append(Acknowledgement(tag: tag, multiple: false))
        }
        return acknowledgements
    }

    private mutating func mark(_ tag: UInt64, _ state: State) -> Bool {
        guard tag >= first, states[Int(tag - first)] == .open else { return false }
        states[Int(tag - first)] = state
        return true
    }
}
