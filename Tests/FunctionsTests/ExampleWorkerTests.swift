import Foundation
import TestSupport
import Testing

/// The service of `deploy/examples/worker`, as its users run it.
@Suite(.enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"), .timeLimit(.minutes(4)))
struct ExampleWorkerTests {
    private static let program: URL = {
        var folder = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        while folder.path != "/", !FileManager.default.isExecutableFile(atPath: folder.appendingPathComponent("ExampleWorker").path) {
            folder.deleteLastPathComponent()
        }
        return folder.appendingPathComponent("ExampleWorker")
    }()

    private func start(_ arguments: [String], _ broker: RabbitMQServer, writing output: URL) throws -> SpawnedProcess {
        try Data().write(to: output)
        let process = SpawnedProcess()
        process.executableURL = Self.program
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["CARILLON_BINDER": broker.uri, "CARILLON_SERVER_PORT": "0"]
        ) { $1 }
        process.currentDirectoryURL =
            URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../deploy/examples/worker")
            .standardized
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return process
    }

    @Test func `orders are charged and booked, one that cannot be is a dead letter, and SIGTERM ends the worker in order`() async throws {
        try await withTemporaryFolder { folder in
            try await RabbitMQServer.with { broker in
                let output = URL(filePath: folder).appending(path: "out")
                let worker = try start([], broker, writing: output)
                defer { if worker.isRunning { kill(worker.processIdentifier, SIGKILL) } }
                try await eventually {
                    let queues = try await broker.control("list_queues", "name", "--silent")
                    return queues.contains("receipts.ledger") && queues.contains("orders.billing")
                }
                for order in [["1", "bell", "2"], ["2", "rope", "5"], ["3", "moon", "1"]] {
                    let sender = try start(["order"] + order, broker, writing: URL(filePath: folder).appending(path: "sent"))
                    try await eventually { !sender.isRunning }
                    #expect(sender.terminationStatus == 0)
                }
                try await eventually {
                    let queues = try await broker.control("list_queues", "name", "messages", "--silent")
                    return ["orders.billing\t0", "receipts.ledger\t0", "orders.billing.dlq\t1"].allSatisfy { queues.contains($0) }
                }
                kill(worker.processIdentifier, SIGTERM)
                try await eventually { !worker.isRunning }
                #expect(worker.terminationStatus == 0)
                let booked = try String(contentsOf: output, encoding: .utf8)
                #expect(booked.contains("order 1 for 40"))
                #expect(booked.contains("order 2 for 15"))
            }
        }
    }
}
