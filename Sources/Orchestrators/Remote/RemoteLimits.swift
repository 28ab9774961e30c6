/// How long an orchestrator is waited for, and how often it is asked again.
package struct RemoteLimits: Sendable, Hashable {
    /// For one whole answer.
    package var answer: Duration
    /// How long what a file held is believed: tokens and authorities are exchanged while we run.
    package var fileAge: Duration
    /// How long a stream of changes may stay open or silent, before it is opened anew: a peer that is gone without a word is noticed so.
    package var stream: Duration
    /// Before a stream of changes is opened again: at first, and at most, however often it failed.
    package var firstPause: Duration
    package var longestPause: Duration

    package init(
        answer: Duration = .seconds(10), fileAge: Duration = .seconds(55), stream: Duration = .seconds(240),
        firstPause: Duration = .seconds(1), longestPause: Duration = .seconds(60)
    ) {
        self.answer = answer
        self.fileAge = fileAge
        self.stream = stream
        self.firstPause = firstPause
        self.longestPause = longestPause
    }
}
