internal import Autoscaler
internal import Processes

extension Crew {
    /// What an orchestrator says of its target. Those that leave are not counted; those that are ordered and not ready are starting, whatever
    /// keeps them from it.
    var observation: TargetObservation {
        let ready = ready
        return TargetObservation(
            InstanceCount(desired: ordered, ready: ready, starting: max(0, ordered - ready)), pending: pending)
    }

    /// Why those that were ordered do not run.
    private var pending: String? {
        let empty = workers.values.filter { $0.isWanted && $0.phase == nil }
        guard !empty.isEmpty else { return nil }
        var counts: [String: Int] = [:]
        for worker in empty {
            if let failure = worker.failure { counts[Self.text(failure), default: 0] += 1 }
        }
        let waiting = empty.count { $0.failure == nil }
        if waiting > 0 { counts["wait until workers that drain have gone, for no more than \(maximum) may run", default: 0] += waiting }
        return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) of \(ordered) \($0.key)" }.joined(
            separator: "; ")
    }

    /// What befell a worker, with the remedy.
    static func text(_ failure: Failure) -> String {
        switch failure {
        case .start(let reason): "cannot be started: \(reason)"
        case .exit(nil): "ended; an earlier server had started them, and only it was told why"
        case .exit(.code(0)): "exited with status 0: a worker is to run until it is told to end"
        case .exit(.code(126)): "exited with status 126: is the command executable?"
        case .exit(.code(127)): "exited with status 127: command not found?"
        case .exit(.code(let code)?): "exited with status \(code): see what they write"
        case .exit(.signal(9)): "were killed (signal 9): out of memory?"
        case .exit(.signal(let number)?): "ended by signal \(number)"
        }
    }
}
