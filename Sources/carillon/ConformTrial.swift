import BinderConformance
import Foundation
import Glibc
import Lifecycle
import Locking
import Streams

/// Waits for the broker, runs the cases and ends.
final class ConformTrial: Service {
    private struct State {
        var report: ConformanceReport?
        var unreachable: String?
        var took = Duration.zero
    }
    let name = "conformance"
    private let bench: BinderBench
    /// For cases that look at several members of a group; nil: the same.
    private let wide: BinderBench?
    private let place: ConformPlace
    private let cases: [BinderCase]
    private let progress: ConformProgress
    private let state = Locked(State())
    /// How long the broker may take to answer at first.
    private static let reachLimit = Duration.seconds(15)

    init(bench: BinderBench, wide: BinderBench?, place: ConformPlace, cases: [BinderCase], progress: ConformProgress) {
        self.bench = bench
        self.wide = wide
        self.place = place
        self.cases = cases
        self.progress = progress
    }

    var report: ConformanceReport? { state.withLock { $0.report } }
    /// Why the broker could not be reached; nil where it was.
    var unreachable: String? { state.withLock { $0.unreachable } }
    var took: Duration { state.withLock { $0.took } }

    func run(_ life: ServiceLife) async throws {
        life.started()
        _ = try await life.cancelOnShutdown { [self] in try await work() }
    }

    private func work() async throws {
        do {
            try await eventually(within: Self.reachLimit, "the broker") { bench.binder.readiness.isReady && bench.peer.readiness.isReady }
        } catch is NotInTime {
            let reason = if case .waiting(let reason) = bench.binder.readiness { reason } else { "no answer" }
            state.withLock { $0.unreachable = reason }
            return
        }
        let start = ContinuousClock.now
        let progress = progress
        let place = place
        let narrow = bench
        let wide = wide
        let run = ConformanceRun(cases: cases) { progress.add($0) }
        let report = await run.report(of: bench.binder.name, capabilities: bench.capabilities) { one in
            let wide = BinderCases.sharing.contains(one.id) ? wide : nil
            let pair = wide ?? narrow
            return try place.bench(binder: pair.binder, peer: pair.peer, isWide: wide != nil)
        }
        state.withLock { state in
            state.report = report
            state.took = ContinuousClock.now - start
        }
    }
}

/// Tells how far the run is: one line that changes on a terminal, else a line for each case.
final class ConformProgress: Sendable {
    private let count: Int
    private let isSilent: Bool
    private let isTerminal = isatty(2) == 1
    private let terminal: Terminal
    private let done = Locked((ended: 0, failed: 0))

    init(count: Int, isSilent: Bool, _ terminal: Terminal) {
        self.count = count
        self.isSilent = isSilent
        self.terminal = terminal
    }

    func add(_ result: CaseResult) {
        let isFailure = if case .failed = result.outcome { true } else { false }
        let now = done.withLock { done in
            done.ended += 1
            if isFailure { done.failed += 1 }
            return done
        }
        guard !isSilent else { return }
        let failed = now.failed == 0 ? "" : ", \(now.failed) failed"
        if isTerminal {
            write("\r\u{1B}[K\(now.ended) of \(count)\(failed): \(result.id) \(result.title.prefix(50))")
        } else {
            terminal.complain("\(now.ended)/\(count) \(isFailure ? "FAILED " : "")\(result.id)")
        }
    }

    func clear() { if isTerminal, !isSilent { write("\r\u{1B}[K") } }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
