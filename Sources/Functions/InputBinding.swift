/// Where a function's events come from, and what happens when it fails.
public struct InputBinding: Sendable, Hashable {
    /// Several events handed over at once.
    public struct Batch: Sendable, Hashable {
        /// The most events of a batch.
        public var size: Int
        /// How long the first event of a batch may wait for others.
        public var wait: Duration
        public init(size: Int = 100, wait: Duration = .milliseconds(200)) {
            self.size = size
            self.wait = wait
        }
    }

    /// At least one.
    public var destinations: [String]
    /// Members of one group share the events; without a group every instance gets every event, and only those published while it listens.
    public var group: String?
    /// The name of one of the settings' `binders`; nil: the default one.
    public var binder: String?
    /// How many events (or batches) are handled at once. With 1 they keep their order; with more, those of one key do.
    public var concurrency = 1
    /// How often the handler is called for one delivery, the first call included.
    public var attempts = 3
    /// The pause before the second call; each further one is `multiplier` times the one before, up to `longestBackOff`.
    public var backOff: Duration = .seconds(1)
    public var longestBackOff: Duration = .seconds(10)
    public var multiplier = 2.0
    /// What becomes of an event when all calls have failed, or an error is `NonRetryable`.
    public var onFailure = FailurePolicy.deadLetter
    /// Whether the group keeps dead letters.
    public var deadLetters = true
    /// Only for functions of batches; nil: the standard size and time.
    public var batch: Batch?
    /// How many unsettled events the broker hands out at once.
    public var prefetch = 32
    /// Which partitions of a partitioned destination this instance reads; empty: it is not partitioned.
    public var partitions: [Int] = []
    /// How many partitions the destination has, where a broker is to create it; nil: as the broker's own settings say.
    public var partitionCount: Int?
    /// Media type of events that name none.
    public var contentType = "application/json"
    /// Where a binding without a group, or a group that is new on the broker, starts.
    public var start = StartPosition.latest
    /// Whether it starts with the app; else when somebody asks for it.
    public var startsByItself = true

    public init(_ destinations: String..., group: String? = nil) {
        self.destinations = destinations
        self.group = group
    }

    var retry: RetryPolicy {
        RetryPolicy(attempts: attempts, initialPause: backOff, multiplier: multiplier, longestPause: longestBackOff, jitter: 0.1)
    }
}
