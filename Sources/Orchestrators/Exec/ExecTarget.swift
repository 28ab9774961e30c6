package import Autoscaler
internal import JSON
internal import Locking
internal import Processes
internal import ThreadExecutor

/// A program of the user's as orchestrator: it is run to look, and run to scale.
///
/// It is started without a shell, with one line of JSON on its standard input, and the same in its environment for scripts:
///
/// | | standard input | environment |
/// |---|---|---|
/// | look | `{"do":"observe","policy":"orders"}` | `CARILLON_DO=observe`, `CARILLON_POLICY` |
/// | scale | `{"do":"scale","policy":"orders","id":"orders/3/17","term":3,"seq":17,"count":5,"fence":null,"because":"…"}` | `CARILLON_DO=scale`, `CARILLON_POLICY`, `CARILLON_COUNT`, `CARILLON_ORDER`, `CARILLON_FENCE` |
///
/// `count` is absolute and `id` names the decision: the same order may come twice and must not do anything twice. `fence` is what the last look
/// gave, for programs that can refuse a write when somebody else wrote since.
///
/// To a look it writes `{"desired":5,"ready":4}` to its standard output; also `starting`, `fence`, `owner` (who else decides the count: then it
/// is not asked to scale), `locked` (why no count is taken just now) and `pending` (why instances do not start). To an order it may answer
/// `{"reference":"what the orchestrator calls the change"}`.
///
/// | status | means |
/// |---|---|
/// | 0 | done |
/// | 10 | there was nothing to do |
/// | 11 | conflict: somebody else wrote since the last look |
/// | 12 | locked: a change is under way that cannot be overtaken |
/// | 13 | not now; `{"after": SECONDS}` on the standard output says when |
/// | 65, 78 | this will never be taken |
/// | 66 | there is no such target |
/// | 77 | not allowed |
/// | any other, a signal, too long, too much | no answer: the count is held |
///
/// The last line that it writes to its standard error is shown to people: no secrets there. It has half a minute and 64 KiB.
package final class ExecTarget: ScalingTarget {
    package let name: String
    private let policy: String
    private let command: [String]
    private let environment: [String: String]
    private let limit: Duration
    private let thread = ThreadExecutor(name: "exec-target")
    private static let outputLimit = 64 << 10

    package init(policy: String, command: [String], environment: [String: String], limit: Duration = .seconds(30)) {
        self.policy = policy
        self.command = command
        self.environment = environment
        self.limit = limit
        name = "exec \(command.first ?? "")"
    }

    deinit { thread.stop() }

    package func observe() async throws(TargetError) -> TargetObservation {
        let run = try await run(TargetMessages.observe(policy), ["CARILLON_DO": "observe"])
        guard run.exit == .code(0) else {
            if case .code(10...13) = run.exit { throw TargetError(.unavailable, "\(name): the look \(Self.text(run))") }
            throw failure(run, "the look")
        }
        return try TargetMessages.observation(run.output, of: name)
    }

    package func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        let run = try await run(
            TargetMessages.scale(order),
            [
                "CARILLON_DO": "scale", "CARILLON_COUNT": "\(order.count)", "CARILLON_ORDER": order.id, "CARILLON_FENCE": order.fence ?? "",
            ])
        switch run.exit {
        case .code(0): return .applied(reference: TargetMessages.reference(run.output))
        case .code(10): return .unchanged
        case .code(11): return .conflict(TargetMessages.reason(run.errors) ?? "somebody else wrote since the last look")
        case .code(12): return .locked(TargetMessages.reason(run.errors) ?? "a change is under way")
        case .code(13):
            let after = (try? JSONReader.read(run.output))?["after"]?.scalarText.flatMap(Double.init)
            return .throttled(after: after.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil })
        default: throw failure(run, "the order")
        }
    }

    private func failure(_ run: CommandRun, _ what: String) -> TargetError {
        let kind: TargetError.Kind =
            switch run.exit {
            case .code(65), .code(78), .code(126), .code(127): .rejected
            case .code(66): .notFound
            case .code(77): .unauthorized
            default: .unavailable
            }
        return TargetError(kind, "\(name): \(what) \(Self.text(run))")
    }

    private static func text(_ run: CommandRun) -> String {
        let how =
            switch run.exit {
            case .code(let code): "ended with status \(code)"
            case .signal(let number): "was ended by signal \(number)"
            }
        let lines = run.errors.split(separator: 10).filter { $0.contains { $0 > 32 } }
        guard let last = lines.last.flatMap({ TargetMessages.reason(Array($0)) }) else { return how + " and said nothing of it" }
        return "\(how): \(last)"
    }

    private func run(_ message: JSONValue, _ variables: [String: String]) async throws(TargetError) -> CommandRun {
        let input = Array((message.written + "\n").utf8)
        let environment = environment.merging(variables.merging(["CARILLON_POLICY": policy]) { own, _ in own }) { _, own in own }
        let cancelled = Flag()
        let (command, limit) = (command, limit)
        let result: Result<CommandRun, any Error> = await withTaskCancellationHandler {
            do {
                return .success(
                    try await thread.run {
                        try CommandRun(
                            command, input: input, environment: environment, limit: limit, bound: Self.outputLimit,
                            isCancelled: { cancelled.isSet.withLock { $0 } })
                    })
            } catch { return .failure(error) }
        } onCancel: {
            cancelled.isSet.withLock { $0 = true }
        }
        switch result {
        case .success(let run): return run
        case .failure(CommandRun.Failure.tooLong):
            throw TargetError(.unavailable, "\(name) did not end within \(limit) and was killed")
        case .failure(CommandRun.Failure.tooMuch):
            throw TargetError(.unavailable, "\(name) wrote more than \(Self.outputLimit) bytes to its standard output and was killed")
        case .failure(CommandRun.Failure.cannotStart(let reason)):
            throw TargetError(.rejected, "\(name): \(reason): look at `command` of the policy \(policy)")
        case .failure: throw TargetError(.unavailable, "\(name): nobody waits for its answer any more")
        }
    }

    private final class Flag: Sendable {
        let isSet = Locked(false)
    }
}
