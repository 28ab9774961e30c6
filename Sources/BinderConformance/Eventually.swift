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

package struct NotInTime: Error, CustomStringConvertible {
    let what: String
    let limit: Duration
    package var description: String { "\(what) did not hold within \(limit)" }
}
