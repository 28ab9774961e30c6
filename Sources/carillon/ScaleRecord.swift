import Autoscaler
import BacklogSources
import Binders
import Foundation
import HTTP
import HTTPClient
import JSON
import Lifecycle
import Locking
import Options
import ScalingFormats
import Settings
import Telemetry

/// `carillon scale record`: what a live source tells, as a history for `carillon simulate`.
///
/// It asks the server for each new decision of the policy, which has what was read; with `--policy` the source itself, as often as the policy
/// does.
struct ScaleRecord: Service {
    let name = "record"
    private let next: @Sendable () async throws -> (report: QueueReport, time: Seconds)?
    private let write: @Sendable (String) throws -> Void
    private let pause: Duration

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        let limit = try invocation.duration("for")
        let write = try output(invocation)
        var services: [any Service] = []
        let record: ScaleRecord
        if let file = invocation.value("policy") {
            let (asked, sources, poll) = try direct(file, invocation)
            services.append(sources)
            record = ScaleRecord(next: asked, write: write, pause: poll)
        } else {
            guard invocation.arguments.count > 1 else {
                throw Failure("`scale record` needs a POLICY of the server, or --policy FILE[#NAME]", code: 2)
            }
            let policy = invocation.arguments[1]
            let server = try Server(invocation)
            // A name that is none is told before anything is written.
            _ = try await Self.decision(of: policy, server)
            let last = Locked<Int?>(nil)
            record = ScaleRecord(
                next: {
                    guard let decision = try await Self.decision(of: policy, server), last.withLock({ $0 != decision.seq }) else {
                        return nil
                    }
                    last.withLock { $0 = decision.seq }
                    let observation = Observation(recordedIn: decision)
                    return (QueueReport(observation.queues.first ?? .unknown), decision.time)
                }, write: write, pause: .seconds(1))
        }
        try write(HistoryRecorder.header)
        services.append(record)
        let group = ServiceGroup(name: "record", services)
        guard let limit else {
            try await group.runUntilSignal()
            return 0
        }
        _ = try await withTimeLimit(limit) { try await group.runUntilSignal() }
        return 0
    }

    func run(_ life: ServiceLife) async throws {
        life.started()
        _ = try await life.cancelOnShutdown {
            var recorder = HistoryRecorder()
            while true {
                if let (report, time) = try await next(), let line = recorder.line(of: report, at: time) { try write(line) }
                try await Task.sleep(for: pause)  // between two readings
            }
        }
    }

    private static func decision(of policy: String, _ server: Server) async throws -> Decision? {
        let bytes = try await server.send("GET", "/scaling/" + PercentEncoding.encode(policy)).body
        guard let value = try? JSONReader.read(bytes), value["seq"]?.integer != nil else { return nil }
        do { return try DecisionJSON.read(value) } catch {
            throw Failure("the server's answer cannot be read: \(error.description); is it a Carillon of another version?")
        }
    }

    /// The source of one policy of a file; without a `source` it is the server.
    private static func direct(
        _ text: String, _ invocation: Invocation
    ) throws -> (@Sendable () async throws -> (report: QueueReport, time: Seconds)?, BacklogSources, Duration) {
        let parts = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        do {
            let section = try ScalingSection.read(parts[0], environment: ProcessInfo.processInfo.environment)
            let entry = try section.entry(named: parts.count > 1 ? parts[1] : nil, of: parts[0])
            guard entry.policy.queues.count == 1 else {
                throw Failure("a history tells of one queue, and `\(entry.policy.name)` has \(entry.policy.queues.count)", code: 2)
            }
            let uri = invocation.value("server") ?? "http://127.0.0.1:8888"
            let token = try invocation.value("token-file").map { try Server.token(in: $0) }
            let binder = try BinderURI(uri).binder(
                name: "record", token: token, authorityFile: invocation.value("ca"), log: .silent, metrics: Metrics())
            let sources = try BacklogSources(
                [entry], embedded: binder, uri: uri, token: token, authorityFile: invocation.value("ca"),
                log: Log(part: "record", minimum: .error))
            let poll = Duration.milliseconds(Int64(section.poll * 1000))
            return (
                {
                    let reports = await sources.readAll(within: poll)
                    guard let report = reports[entry.policy.name]?.first else { return nil }
                    return (report, Double(Timestamp.now.milliseconds) / 1000)
                }, sources, poll
            )
        } catch let error as SettingsError { throw Failure(error.message, code: 2) }
    }

    private static func output(_ invocation: Invocation) throws -> @Sendable (String) throws -> Void {
        guard let path = invocation.value("output") else {
            return { line in
                // Not by the terminal, which says nothing of a reader that has left: the record would go on for nobody.
                do { try FileHandle.standardOutput.write(contentsOf: Data(line.utf8)) } catch {
                    throw Failure("standard output takes no more lines, and the record ends: has its reader left, or is the disk full?")
                }
            }
        }
        guard FileManager.default.createFile(atPath: path, contents: nil), let handle = FileHandle(forWritingAtPath: path) else {
            throw Failure("\(path) cannot be written; is the folder there, and may it be written to?", code: 2)
        }
        return { line in
            do { try handle.write(contentsOf: Data(line.utf8)) } catch { throw Failure("\(path) cannot be written: is the disk full?") }
        }
    }
}
