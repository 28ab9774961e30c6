internal import Locking
internal import Streams

/// How many event streams are open, of all destinations and of each.
final class OpenStreams: Sendable {
    /// One of them: given back when the last reference goes.
    final class Place: Sendable {
        private let streams: OpenStreams
        private let destination: Destination
        init(_ streams: OpenStreams, _ destination: Destination) {
            self.streams = streams
            self.destination = destination
        }
        deinit { streams.leave(destination) }
    }
    private struct State {
        var all = 0
        var of: [Destination: Int] = [:]
    }
    private let open = Locked(State())
    private let bound: Int
    private let boundOfOne: Int

    init(bound: Int, ofOne: Int) {
        self.bound = bound
        boundOfOne = ofOne
    }

    var count: Int { open.withLock { $0.all } }

    /// Throws 429 when there are as many as may be.
    func enter(_ destination: Destination) throws -> Place {
        let (all, one) = open.withLock { state in
            let now = (state.all, state.of[destination, default: 0])
            if now.0 < bound, now.1 < boundOfOne {
                state.all += 1
                state.of[destination, default: 0] += 1
            }
            return now
        }
        guard all < bound else {
            throw ChannelError(429, "tooMany", "\(bound) event streams are open, which is the bound of this server", retryAfter: 5)
        }
        guard one < boundOfOne else {
            throw ChannelError(
                429, "tooMany", "\(boundOfOne) event streams of \(destination) are open, which is the bound for one destination",
                retryAfter: 5)
        }
        return Place(self, destination)
    }

    private func leave(_ destination: Destination) {
        open.withLock { state in
            state.all -= 1
            let left = (state.of[destination] ?? 1) - 1
            state.of[destination] = left > 0 ? left : nil
        }
    }
}
