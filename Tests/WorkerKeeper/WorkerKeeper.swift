import Autoscaler
import Glibc
import Lifecycle
import Orchestrators
import Telemetry
import ThreadExecutor

/// A server for tests that kill it: nothing but the supervisor of one policy, `orders`.
///
///     WorkerKeeper FOLDER MAXIMUM DRAIN-SECONDS NAME=VALUE COMMAND…
///
/// Each line of its input is a count to order; it answers `ordered N`, and first of all `ready`.
@main enum WorkerKeeper {
    static func main() async throws {
        signal(SIGPIPE, SIG_IGN)
        let words = CommandLine.arguments
        guard words.count > 5, let maximum = Int(words[2]), let drain = Int(words[3]), let sign = words[4].firstIndex(of: "=") else {
            exit(2)
        }
        let variable = (String(words[4][..<sign]), String(words[4][words[4].index(after: sign)...]))
        let settings = LocalSettings(
            policy: "orders", maximum: maximum, command: Array(words[5...]),
            environment: ["PATH": "/usr/bin:/bin", variable.0: variable.1],
            folder: words[1], timing: WorkerTiming(ready: .milliseconds(50), drain: .seconds(drain)))
        let supervisor = LocalSupervisor(settings, log: Log(part: "scaling"))
        do {
            try await ServiceGroup([supervisor, Orders(supervisor: supervisor)]).runUntilSignal()
        } catch {
            say("failed \(error)")
            exit(1)
        }
        say("ended")
    }

    static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(1, bytes, bytes.count)
    }
}

/// Takes counts from the standard input.
struct Orders: Service {
    let name = "orders"
    let supervisor: LocalSupervisor

    func run(_ life: ServiceLife) async throws {
        let (lines, input) = AsyncStream.makeStream(of: String.self)
        let reader = ThreadExecutor(name: "input")
        reader.submit {
            while let line = readLine() { input.yield(line) }
            input.finish()
        }
        defer { reader.stop() }
        life.started()
        WorkerKeeper.say("ready")
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                var seq = 0
                for await line in lines {
                    guard let count = Int(line) else { continue }
                    seq += 1
                    let order = ScaleOrder(policy: "orders", seq: seq, term: 1, count: count, fence: nil, because: "a test wants it")
                    do {
                        _ = try await supervisor.scale(order)
                        WorkerKeeper.say("ordered \(count)")
                    } catch {
                        WorkerKeeper.say("refused \(error)")
                    }
                }
            }
            await life.untilShutdown()
            group.cancelAll()
        }
    }
}
