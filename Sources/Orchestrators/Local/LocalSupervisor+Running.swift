internal import Autoscaler
internal import Files
internal import Glibc
package import Lifecycle
internal import Processes
internal import Telemetry

extension LocalSupervisor {
    /// How often children whose parent has gone are looked for: nothing tells of their end.
    private static let glance = Duration.milliseconds(100)
    /// How long a server that was just killed may still hold its lock.
    private static let lockLimit = Duration.seconds(5)

    /// Takes over what an earlier server has left, then starts and ends processes until shutdown; returns when all have ended.
    package func run(_ life: ServiceLife) async throws {
        guard stage == .idle else { throw TargetError(.rejected, "\(name): a supervisor runs once") }
        try PrivateFile.makeFolder(settings.folder)
        lock = try await takeLock()
        try load()
        stage = .running
        step()
        life.started()
        input.yield(.wake)  // what was taken over may have deadlines
        await withDiscardingTaskGroup { group in
            group.addTask { [input] in
                await life.untilShutdown()
                input.yield(.end)
            }
            var armed: Duration?
            for await event in events {
                if case .moment(armed) = event { armed = nil }
                handle(event)
                for farewell in farewells {
                    group.addTask { [drain, settings, input] in
                        input.yield(.acknowledged(await drain(settings.policy, farewell.instances, farewell.limit)))
                    }
                }
                farewells = []
                if stage == .ending, crew.workers.isEmpty { break }
                if let next = nextMoment, armed.map({ next < $0 }) ?? true {
                    armed = next
                    group.addTask { [input] in
                        do { try await Task.sleep(for: max(.zero, next - Self.now)) } catch { return }  // a timer: what is due then
                        input.yield(.moment(next))
                    }
                }
            }
            group.cancelAll()
        }
        finish()
    }

    private func takeLock() async throws -> PolicyLock {
        let end = ContinuousClock.now + Self.lockLimit
        while true {
            do { return try PolicyLock(settings.lockPath) } catch let taken as PolicyLock.Taken {
                if ContinuousClock.now >= end { throw taken }
            }
            try await Task.sleep(for: .milliseconds(50))  // between two looks: a lock of another process tells nobody
        }
    }

    private var nextMoment: Duration? {
        let glance = running.values.contains { $0.child == nil } ? Self.now + Self.glance : nil
        return [crew.next, glance].compactMap(\.self).min()
    }

    private func handle(_ event: Event) {
        switch event {
        case .wake, .moment: break
        case .exited(let number, let process, let exit): exited(number, process, exit)
        case .acknowledged(let instances):
            crew.acknowledged(crew.workers.keys.filter { instances.contains(settings.instance($0)) }, now: Self.now)
        case .end:
            guard stage == .running else { break }
            stage = .ending
            let actions = crew.order(0, now: Self.now)
            // What is not written is found and ended by the next server.
            if (try? save(crew)) == nil { log.error("the record of the workers cannot be written", ["file": settings.recordPath]) }
            perform(actions)
        }
        step()
    }

    /// Without workers, or cancelled with some: those are killed.
    private func finish() {
        stage = .over
        if !running.isEmpty {
            log.warning("workers did not end in time and are killed", ["policy": settings.policy, "workers": "\(running.count)"])
            for number in running.keys { killGroup(number) }
        }
        for worker in running.values { worker.child?.forget() }
        try? save(crew)
        lock = nil
        tellWatchers()
    }

    // MARK: What an earlier server has left

    private func load() throws {
        let record = try WorkerRecord.read(settings.recordPath)
        boot = ProcessIdentity.boot
        crew = Crew(settings.timing, maximum: settings.maximum, ordered: record?.ordered ?? 0)
        if let record, record.boot == nil || boot == nil || record.boot == boot {
            for entry in record.entries { try adopt(entry) }
        }
        if !running.isEmpty {
            log.info(
                "workers that an earlier server has started are taken over",
                ["policy": settings.policy, "workers": "\(running.count)", "ordered": "\(crew.ordered)"])
        }
        let actions = crew.settle(Self.now)
        try save(crew)
        perform(actions)
        let untold = running.filter { !$0.value.isTold && crew.workers[$0.key]?.isWanted == false }
        perform(untold.isEmpty ? [] : [.dismiss(untold.keys.sorted())])
    }

    private func adopt(_ entry: WorkerRecord.Entry) throws {
        let (number, now) = (entry.number, Self.now)
        let until = entry.leavingUntil.map { Duration.nanoseconds(Int64(clamping: $0)) }
        guard let child = try watch(number, entry.process) else {
            // What the worker has left behind is its own if it says so: its group's number may be another's by now.
            let variable = "CARILLON_INSTANCE=\(settings.instance(number))"
            let left = ProcessIdentity.members(ofGroup: entry.process.number).filter { $0.wasStarted(with: variable) }
            guard !left.isEmpty else { return }
            for process in left { kill(process.number, SIGTERM) }
            running[number] = Running(process: entry.process, child: nil, end: .exit(nil), isTold: true)
            crew.adopt(number, started: min(now, entry.process.began), leavingUntil: until ?? now + settings.timing.drain, now: now)
            return
        }
        running[number] = Running(process: entry.process, child: child, isTold: entry.isTold)
        crew.adopt(number, started: min(now, entry.process.began), leavingUntil: until, now: now)
    }

    /// Nil when there is no such process any more.
    private func watch(_ number: Int, _ process: ProcessIdentity) throws -> ChildProcess? {
        guard process.isAlive else { return nil }
        let child: ChildProcess
        do throws(ChildProcess.Failure) {
            child = try watch(number, process.number)
        } catch {
            guard error.number == ESRCH else { throw error }
            return nil
        }
        // Only now is it certain whose number the descriptor was opened for.
        guard process.isAlive else {
            child.forget()
            return nil
        }
        return child
    }

    func watch(_ number: Int, _ process: Int32) throws(ChildProcess.Failure) -> ChildProcess {
        try ChildProcess(watching: process, name: settings.instance(number)) { [input] exit in
            input.yield(.exited(number, process: process, exit))
        }
    }
}
