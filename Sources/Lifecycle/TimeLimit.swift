/// Runs `body` and returns what it returned; nil where `limit` was over first. `body` is cancelled then and waited for until it has noticed: one that
/// ignores it holds the caller. Throws what `body` throws. Cancelling the caller cancels `body`, and what that ends with is the answer.
package func withTimeLimit<R: Sendable, E: Error>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws(E) -> R
) async throws(E) -> R? {
    // The limit itself.
    try await race(body) { try await Task.sleep(for: limit) }
}

/// As above, with a time that begins when `shutdown` is asked for: for the last words to somebody who may be away.
package func withTimeLimit<R: Sendable, E: Error>(
    _ limit: Duration, after shutdown: ShutdownSignal, _ body: @escaping @Sendable () async throws(E) -> R
) async throws(E) -> R? {
    try await race(body) {
        await shutdown.wait()
        try await Task.sleep(for: limit)  // the limit itself
    }
}

private func race<R: Sendable, E: Error>(
    _ body: @escaping @Sendable () async throws(E) -> R, _ time: @escaping @Sendable () async throws -> Void
) async throws(E) -> R? {
    let ended = await withTaskGroup(of: Ended<R, E>.self) { group in
        group.addTask {
            do throws(E) { return .body(.success(try await body())) } catch { return .body(.failure(error)) }
        }
        group.addTask {
            // A cancelled caller wants the end of the body, not that of the time.
            do { try await time() } catch { return .nothing }
            return .time
        }
        defer { group.cancelAll() }
        while let first = await group.next() { if case .nothing = first { continue } else { return first } }
        return .nothing
    }
    guard case .body(let result) = ended else { return nil }
    return try result.get()
}

private enum Ended<R: Sendable, E: Error>: Sendable {
    case body(Result<R, E>)
    case time
    case nothing
}
