internal import Locking
internal import Streams

/// What has come from the server and waits for the subscriber: never more than the prefetch, together with what is in hand.
final class EventBuffer: Sendable {
    struct Item: Sendable {
        var envelope: Envelope
        var attempt: Int
        var position: String?
        /// Of a group's delivery; nil in a broadcast.
        var token: String?
        /// Sets a delivery apart from an earlier one of the same event.
        var number: UInt64 = 0
    }
    enum Taken: Sendable {
        case item(Item)
        case ended
        case cancelled
        case failed(BinderError)
    }
    private enum End: Sendable { case open, ended, failed(BinderError) }
    private struct State {
        var items: [Item] = []
        var head = 0
        var inHand: [UInt64: Item] = [:]
        var lastNumber: UInt64 = 0
        var end = End.open
        var taker: CheckedContinuation<Taken, Never>?
        /// Those who wait for the buffer to change: the reader of the server.
        var reader: CheckedContinuation<Void, Never>?
    }
    private let state = Locked(State())
    private let prefetch: Int

    init(prefetch: Int) { self.prefetch = max(1, prefetch) }

    /// The next item for the subscriber; one caller at a time.
    func take() async -> Taken {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state -> Taken? in
                    if Task.isCancelled { return .cancelled }
                    if let taken = take(&state) { return taken }
                    state.taker = continuation
                    return nil
                }
                wakeReader()
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.taker = nil }
                return state.taker
            }?.resume(returning: .cancelled)
        }
    }

    private func take(_ state: inout State) -> Taken? {
        switch state.end {
        case .ended: return .ended
        case .failed(let error): return .failed(error)
        case .open: break
        }
        guard state.head < state.items.count, state.inHand.count < prefetch else { return nil }
        var item = state.items[state.head]
        state.head += 1
        if state.head == state.items.count {
            state.items.removeAll(keepingCapacity: true)
            state.head = 0
        }
        state.lastNumber += 1
        item.number = state.lastNumber
        state.inHand[item.number] = item
        return .item(item)
    }

    private func serve() {
        let (taker, taken) = state.withLock { state -> (CheckedContinuation<Taken, Never>?, Taken?) in
            guard let taker = state.taker, let taken = take(&state) else { return (nil, nil) }
            state.taker = nil
            return (taker, taken)
        }
        if let taker, let taken { taker.resume(returning: taken) }
        wakeReader()
    }

    private func wakeReader() {
        state.withLock { state in
            defer { state.reader = nil }
            return state.reader
        }?.resume()
    }

    /// Adds what came; the caller has asked for room before. `first`: before all others, since it was here before.
    func add(_ items: [Item], first: Bool = false) {
        state.withLock { state in
            if first { state.items.insert(contentsOf: items, at: state.head) } else { state.items += items }
        }
        serve()
    }

    /// A delivery is done with. False when it was before.
    @discardableResult
    func settle(_ number: UInt64) -> Item? {
        let item = state.withLock { $0.inHand.removeValue(forKey: number) }
        if item != nil { serve() }
        return item
    }

    /// Takes out what nobody has seen yet and which is no longer ours.
    func forget(_ tokens: Set<String>) {
        state.withLock { state in
            state.items = state.items[state.head...].filter { item in item.token.map { !tokens.contains($0) } ?? true }
            state.head = 0
        }
        serve()
    }

    /// Every token here, in the buffer and in hand.
    var tokens: [String] {
        state.withLock { state in state.items[state.head...].compactMap(\.token) + state.inHand.values.compactMap(\.token) }
    }

    /// Waits until there is room for some more, and tells for how many. Nil when the buffer has ended or the task is cancelled.
    func room() async -> Int? {
        while true {
            let room: Int? = state.withLock { state in
                guard case .open = state.end else { return nil }
                let waiting = state.items.count - state.head
                let room = prefetch - waiting - state.inHand.count
                return room >= max(1, prefetch / 2) || waiting == 0 && room > 0 ? room : 0
            }
            guard let room, !Task.isCancelled else { return nil }
            if room > 0 { return room }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let now = state.withLock { state in
                        // What changed since the look above is seen at the next one, since every change wakes the reader under this lock.
                        let waiting = state.items.count - state.head
                        let room = prefetch - waiting - state.inHand.count
                        if Task.isCancelled || room >= max(1, prefetch / 2) || waiting == 0 && room > 0 { return true }
                        if case .open = state.end {} else { return true }
                        state.reader = continuation
                        return false
                    }
                    if now { continuation.resume() }
                }
            } onCancel: {
                wakeReader()
            }
        }
    }

    /// Ends it: what is in the buffer is not handed out any more.
    func end(_ failure: BinderError? = nil) {
        let taker = state.withLock { state in
            if case .open = state.end { state.end = failure.map(End.failed) ?? .ended }
            defer { state.taker = nil }
            return state.taker
        }
        taker?.resume(returning: failure.map(Taken.failed) ?? .ended)
        wakeReader()
    }
}
