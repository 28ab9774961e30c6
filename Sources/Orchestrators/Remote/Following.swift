/// Opens a stream of changes again and again until cancelled. `body` calls `opened` when the orchestrator has taken the question: that is a hint by
/// itself, as nobody knows what happened before. Between two openings there is a pause, which grows while none succeeds.
func follow(
    _ limits: RemoteLimits, _ changed: @escaping @Sendable () -> Void, _ body: (_ opened: () -> Void) async throws -> Void
) async {
    var pace = Pace(limits)
    while !Task.isCancelled {
        var isOpen = false
        // Why it ended is of no use here: whoever observes the target gets the same refusal, with its remedy.
        try? await body {
            isOpen = true
            changed()
        }
        try? await Task.sleep(for: pace.pause(after: isOpen) * Double.random(in: 0.5...1))
    }
}

/// How long to wait between two attempts: twice as long after each one that failed, up to a bound.
struct Pace {
    private let first: Duration
    private let longest: Duration
    private var next: Duration

    init(_ limits: RemoteLimits) {
        first = limits.firstPause
        longest = max(limits.firstPause, limits.longestPause)
        next = first
    }

    mutating func pause(after success: Bool) -> Duration {
        let pause = success ? first : next
        next = success ? first : min(longest, next * 2)
        return pause
    }
}
