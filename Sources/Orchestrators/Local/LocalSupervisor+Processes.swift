internal import Glibc
internal import Processes
internal import Telemetry

extension LocalSupervisor {
    /// Does what the time has come for, and writes down what has changed.
    func step() {
        glance()
        perform(crew.advance(Self.now))
        if record(crew) != saved { write() }
        tellWatchers()
    }

    private func write() {
        do { try save(crew) } catch {
            log.error("the record of the workers cannot be written", ["policy": settings.policy, "reason": "\(error)"])
        }
    }

    func perform(_ actions: [Crew.Action]) {
        var numbers: [Int] = []
        for action in actions {
            switch action {
            case .start(let number): numbers.append(number)
            case .kill(let number):
                log.warning(
                    "a worker did not leave in time and is killed",
                    ["instance": settings.instance(number), "limit": "\(settings.timing.drain)"])
                killGroup(number)
            case .dismiss(let numbers):
                for number in numbers {
                    running[number]?.child?.send(SIGTERM)
                    running[number]?.isTold = true
                }
                log.info("workers are told to leave", ["instances": numbers.map(settings.instance).joined(separator: " ")])
                farewells.append(Farewell(instances: numbers.map(settings.instance), limit: settings.timing.drain))
            }
        }
        if !numbers.isEmpty { start(numbers) }
    }

    /// Makes processes, writes down who they are, and only then lets them run.
    private func start(_ numbers: [Int]) {
        var held: [(number: Int, process: HeldProcess)] = []
        for number in numbers {
            var process: HeldProcess?
            do {
                let made = try HeldProcess(settings.command, environment: settings.environment(of: number))
                process = made
                guard let identity = ProcessIdentity(living: made.identifier) else { throw Vanished() }
                running[number] = Running(process: identity, child: try watch(number, made.identifier))
                held.append((number, made))
            } catch {
                process?.discard()
                failed(number, "\(error)")
            }
        }
        do { try save(crew) } catch {
            // A worker that nobody would find again must not run.
            for (number, process) in held {
                running.removeValue(forKey: number)?.child?.forget()
                process.discard()
                failed(number, "\(error)")
            }
            return
        }
        for (_, process) in held { process.release() }
        if !held.isEmpty {
            log.info(
                "workers are started",
                ["instances": held.map { settings.instance($0.number) }.joined(separator: " "), "command": settings.command.first ?? ""])
        }
    }

    private struct Vanished: Error, CustomStringConvertible {
        let description = "the process ended before it began"
    }

    private func failed(_ number: Int, _ reason: String) {
        log.error("a worker cannot be started", ["instance": settings.instance(number), "reason": reason])
        crew.startFailed(number, reason, now: Self.now, using: &generator)
    }

    /// The process of a worker has ended; its place is free when none of its children are left.
    func exited(_ number: Int, _ process: Int32, _ exit: ProcessExit?) {
        guard let worker = running[number], worker.process.number == process, worker.child != nil else { return }
        running[number]?.child = nil
        running[number]?.end = .exit(exit)
        let left = ProcessIdentity.members(ofGroup: process)
        guard !left.isEmpty else { return ended(number) }
        crew.orphaned(number, now: Self.now)
        for process in left { kill(process.number, SIGTERM) }
    }

    /// Looks after the children of those that have ended.
    private func glance() {
        for (number, worker) in running where worker.child == nil {
            let left = ProcessIdentity.members(ofGroup: worker.process.number)
            if left.isEmpty { ended(number) } else if crew.workers[number]?.phase == .killed { killGroup(number) }
        }
    }

    private func ended(_ number: Int) {
        guard let worker = running.removeValue(forKey: number) else { return }
        let failure = worker.end ?? .exit(nil)
        let before = crew.workers[number]
        crew.ended(number, failure, now: Self.now, using: &generator)
        let fields = (settings.instance(number), Crew.text(failure), "\(Self.now - (before?.started ?? .zero))")
        guard let after = crew.workers[number] else {
            log.info("a worker has left", ["instance": fields.0, "how": fields.1, "after": fields.2])
            return
        }
        log.warning(
            "a worker ended by itself and is started again",
            ["instance": fields.0, "how": fields.1, "after": fields.2, "in": "\(after.pausedUntil - Self.now)"])
    }

    func killGroup(_ number: Int) {
        guard let worker = running[number] else { return }
        if let child = worker.child { return child.endGroup(SIGKILL) }
        for process in ProcessIdentity.members(ofGroup: worker.process.number) { kill(process.number, SIGKILL) }
    }

    // MARK: The record

    func record(_ crew: Crew) -> WorkerRecord {
        let entries = running.compactMap { number, worker -> WorkerRecord.Entry? in
            guard let phase = crew.workers[number]?.phase else { return nil }
            var entry = WorkerRecord.Entry(number: number, process: worker.process, isTold: worker.isTold)
            switch phase {
            case .starting, .ready: break
            case .leaving(let until): entry.leavingUntil = UInt64(max(0, until / .nanoseconds(1)))
            case .killed: entry.leavingUntil = 0
            }
            return entry
        }
        return WorkerRecord(boot: boot, ordered: crew.ordered, entries: entries.sorted { $0.number < $1.number })
    }

    /// On disk when it returns.
    func save(_ crew: Crew) throws {
        let record = record(crew)
        try record.write(settings.recordPath, policy: settings.policy)
        saved = record
    }
}
