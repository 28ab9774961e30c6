/// Waits until `condition` holds, looking every few milliseconds; throws after `limit`. For what no continuation tells. The limit is generous:
/// it costs time only where the condition never comes, and machines that run tests are busy.
package func eventually(
    within limit: Duration = .seconds(60), _ what: String = "the condition", isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let end = clock.now + limit
    while try await !condition() {
        guard clock.now < end else { throw NotInTime(what: what, limit: limit) }
        try await clock.sleep(for: .milliseconds(5))
    }
}

/// Looks every few milliseconds for as long as `duration` and throws at once when `condition` does not hold. For what must not happen: its time
/// is the case's input, and there is nothing to wait for.
package func throughout(
    _ duration: Duration, _ what: @autoclosure () -> String, isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let (start, end) = (clock.now, clock.now + duration)
    while true {
        guard try await condition() else { throw NotThroughout(what: what(), after: clock.now - start, duration: duration) }
        if clock.now >= end { return }
        try await clock.sleep(for: min(.milliseconds(5), end - clock.now))
    }
}

package struct NotThroughout: Error, CustomStringConvertible {
    let what: String
    let after: Duration
    let duration: Duration
    package var description: String { "\(what) did not hold any more after \(after), of \(duration)" }
}

package struct NotInTime: Error, CustomStringConvertible {
    let what: String
    let limit: Duration
    package var description: String { "\(what) did not hold within \(limit)" }
}
