import ConfigModel
import Glibc
import HTTP
import Locking
import ConfigRepositories
import Synchronization

/// Whole answers by the bytes of the target and what was accepted, for as long as the repositories stay at one generation. Looked up on the server's
/// thread, without making anything. Bounded by the bytes kept.
final class AnswerCache: Sendable {
    /// One answer in its two forms.
    final class Entry: Sendable {
        let target: [UInt8]
        let accept: String?
        let tag: String
        let audience: Audience
        let whole: CachedResponse
        let notModified: CachedResponse
        /// When it was asked for last, in seconds of the monotonic clock.
        let asked: Atomic<Int>

        init(target: [UInt8], accept: String?, tag: String, audience: Audience, whole: HTTPResponse, notModified: HTTPResponse) {
            self.target = target
            self.accept = accept
            self.tag = tag
            self.audience = audience
            self.whole = CachedResponse(whole)
            self.notModified = CachedResponse(notModified)
            asked = Atomic(Self.now)
        }

        /// Seconds of a clock that costs nothing to read.
        static var now: Int {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
            return time.tv_sec
        }

        func matches(_ other: UnsafeRawBufferPointer, _ accept: String?) -> Bool {
            guard target.count == other.count, self.accept == accept, let others = other.baseAddress else { return false }
            return target.withUnsafeBytes { mine in mine.baseAddress.map { memcmp($0, others, other.count) == 0 } ?? false }
        }
    }
    private struct State {
        var generation = -1
        /// By hash; two targets with the same hash take turns.
        var entries: LeastRecentlyUsed<Int, Entry>
    }
    private let state: Locked<State>

    init(limit: Int) { state = Locked(State(entries: LeastRecentlyUsed(limit: limit))) }

    private static func hash(_ target: UnsafeRawBufferPointer, _ accept: String?) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: target)
        hasher.combine(accept)
        return hasher.finalize()
    }

    /// The answer kept for that target at that generation.
    func entry(_ target: UnsafeRawBufferPointer, accept: String?, generation: Int) -> Entry? {
        let hash = Self.hash(target, accept)
        let entry = state.withLock { $0.generation == generation ? $0.entries.value(for: hash) : nil }
        guard let entry, entry.matches(target, accept) else { return nil }
        entry.asked.store(Entry.now, ordering: .relaxed)
        return entry
    }

    /// Keeps an answer that was made at `generation`; those of older generations leave, and come too late. Returns the entries that left, for the
    /// times at which they were asked for.
    func insert(_ entry: Entry, generation: Int) -> [Entry] {
        let hash = entry.target.withUnsafeBytes { Self.hash($0, entry.accept) }
        let size = (entry.whole.response.bytes?.count ?? 0) * 2 + entry.target.count + 1024  // the server keeps a form of its own
        return state.withLock { state in
            guard generation >= state.generation else { return [] }
            var left: [Entry] = []
            if generation > state.generation {
                left = state.entries.values
                state.entries.removeAll()
                state.generation = generation
            }
            state.entries.insert(entry, for: hash, cost: size)
            return left
        }
    }

    /// What is kept now.
    var entries: [Entry] { state.withLock { $0.entries.values } }
}
