internal import Lifecycle

/// How long things may take, or must, that local workers do.
package struct WorkerTiming: Sendable, Hashable {
    /// A worker is taken for ready when it has run for so long: it tells nobody how far it is, and most of what goes wrong at a start does so
    /// at once. What a worker needs beyond that to be of use, the law learns from what it does.
    package var ready: Duration
    /// From SIGTERM to SIGKILL.
    package var drain: Duration
    /// From its word that it has nothing in hand any more to SIGKILL.
    package var farewell: Duration
    /// The least pause before one that ended by itself is started again; doubles with each further time.
    package var firstPause: Duration
    package var longestPause: Duration
    /// One that ran for so long ran well: its next pause is the first again.
    package var steady: Duration

    package init(
        ready: Duration = .seconds(1), drain: Duration = .seconds(30), farewell: Duration = .seconds(5), firstPause: Duration = .seconds(1),
        longestPause: Duration = .seconds(60), steady: Duration = .seconds(60)
    ) {
        self.ready = ready
        self.drain = drain
        self.farewell = farewell
        self.firstPause = firstPause
        self.longestPause = longestPause
        self.steady = steady
    }

    /// Pauses lie between half of what it is given and the whole.
    var backOff: BackOff { BackOff(first: min(firstPause * 2, longestPause), longest: longestPause) }
}
