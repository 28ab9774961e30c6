package import Streams

/// What became of one case.
package struct CaseResult: Sendable {
    package enum Outcome: Sendable, Hashable {
        case passed
        /// With what was found, in words.
        case failed(String)
        /// With the names of the capabilities that the binder, or this broker, does not have.
        case skipped([String])
    }
    package let id: String
    package let title: String
    package let outcome: Outcome
    package let duration: Duration

    package init(id: String, title: String, outcome: Outcome, duration: Duration) {
        self.id = id
        self.title = title
        self.outcome = outcome
        self.duration = duration
    }
}

/// Runs cases against one binder: several at once, then one by one those that want to be alone.
package struct ConformanceRun: Sendable {
    package var cases: [BinderCase]
    /// How many cases run at once.
    package var width: Int
    /// Called for each result, in the order in which cases end.
    package var progress: @Sendable (CaseResult) -> Void

    package init(
        cases: [BinderCase] = BinderCases.all, width: Int = 6, progress: @escaping @Sendable (CaseResult) -> Void = { _ in }
    ) {
        self.cases = cases
        self.width = max(1, width)
        self.progress = progress
    }

    /// `bench` is asked for each case: names are used once only.
    package func report(
        of binder: String, capabilities: BinderCapabilities, _ bench: @escaping @Sendable (BinderCase) async throws -> BinderBench
    ) async -> ConformanceReport {
        var results: [String: CaseResult] = [:]
        await withTaskGroup(of: CaseResult.self) { group in
            var waiting = cases.filter { !$0.isAlone }[...]
            for one in waiting.prefix(width) { group.addTask { await result(of: one, bench) } }
            waiting = waiting.dropFirst(width)
            while let result = await group.next() {
                if Task.isCancelled { continue }  // what was broken off says nothing of the binder
                results[result.id] = result
                progress(result)
                if let next = waiting.popFirst() { group.addTask { await self.result(of: next, bench) } }
            }
        }
        for one in cases where one.isAlone && !Task.isCancelled {
            let result = await result(of: one, bench)
            if Task.isCancelled { break }
            results[result.id] = result
            progress(result)
        }
        return ConformanceReport(binder: binder, capabilities: capabilities, results: cases.compactMap { results[$0.id] })
    }

    private func result(of one: BinderCase, _ make: @Sendable (BinderCase) async throws -> BinderBench) async -> CaseResult {
        let start = ContinuousClock.now
        let outcome: CaseResult.Outcome
        do {
            let bench = try await make(one)
            let missing = one.missing(bench).names
            if missing.isEmpty {
                try await one.run(bench)
                outcome = .passed
            } else {
                outcome = .skipped(missing)
            }
        } catch { outcome = .failed("\(error)") }
        return CaseResult(id: one.id, title: one.title, outcome: outcome, duration: ContinuousClock.now - start)
    }
}
