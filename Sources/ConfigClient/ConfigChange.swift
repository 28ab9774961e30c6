/// What changed for a listener.
public struct ConfigChange: Sendable {
    /// The configuration that is now in force.
    public let snapshot: ConfigSnapshot
    /// Its keys that were added, removed or have another value than before, sorted; those only that the listener asked for.
    public let keys: [String]
}

/// The changes of a key or prefix, from the moment on when `changes(of:)` was called.
///
/// A listener that is slow sees the newest configuration with all keys that changed since it looked last: nothing is queued, nothing is lost.
public struct ConfigChanges: AsyncSequence, Sendable {
    public typealias Element = ConfigChange
    public typealias Failure = Never

    private let store: SnapshotStore
    private let start: ConfigSnapshot?
    private let prefix: String

    init(_ store: SnapshotStore, of prefix: String) {
        self.store = store
        start = store.current
        self.prefix = RelaxedName.canonical(prefix)
    }

    public func makeAsyncIterator() -> Iterator { Iterator(store: store, last: start, prefix: prefix) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let store: SnapshotStore
        fileprivate var last: ConfigSnapshot?
        fileprivate let prefix: String
        private var seen: UInt64 = 0

        fileprivate init(store: SnapshotStore, last: ConfigSnapshot?, prefix: String) {
            self.store = store
            self.last = last
            self.prefix = prefix
        }

        public mutating func next() async -> ConfigChange? { await next(isolation: #isolation) }

        /// Waits for the next change; nil when the task is cancelled.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> ConfigChange? {
            while let (generation, snapshot) = await store.wait(after: seen) {
                seen = generation
                let keys = snapshot.changedKeys(since: last).filter { KeyPrefix.contains(RelaxedName.canonical($0), under: prefix) }
                last = snapshot
                if !keys.isEmpty { return ConfigChange(snapshot: snapshot, keys: keys) }
            }
            return nil
        }
    }
}
