import Lifecycle

/// Opens a stream of changes again and again until cancelled. `body` calls `opened` when the orchestrator has taken the question: that is a hint by
/// itself, as nobody knows what happened before. Between two openings there is a pause, which grows while none succeeds.
func follow(
    _ limits: RemoteLimits, _ changed: @escaping @Sendable () -> Void, _ body: (_ opened: () -> Void) async throws -> Void
) async {
    var backOff = BackOff(first: limits.firstPause, longest: max(limits.firstPause, limits.longestPause))
    while !Task.isCancelled {
        var isOpen = false
        // Why it ended is of no use here: whoever observes the target gets the same refusal, with its remedy.
        try? await body {
            isOpen = true
            changed()
        }
        if isOpen { backOff.reset() }
        try? await Task.sleep(for: backOff.next())  // between two openings
    }
}
