/// Waits until `isDone` says so; looks again and again, since nobody tells when the last of many callers is answered. Returns false when `limit` is
/// over before, or the task was cancelled.
package func untilDrained(within limit: Duration, _ isDone: () -> Bool) async -> Bool {
    let clock = ContinuousClock()
    let end = clock.now + limit
    while !isDone() {
        guard clock.now < end, !Task.isCancelled else { return false }
        try? await Task.sleep(for: .milliseconds(5))  // between two looks
    }
    return true
}
