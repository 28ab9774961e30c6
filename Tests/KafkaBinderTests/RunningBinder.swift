import Foundation
import Lifecycle
import Streams
import Telemetry
import TestSupport

@testable import KafkaBinder

/// Runs `body` with a binder on the cluster, and ends the binder in order.
@discardableResult
func withBinder<R: Sendable>(
    _ server: KafkaServer, log: Log = .silent, _ change: (inout KafkaConfiguration) -> Void = { _ in },
    _ body: (KafkaBinder) async throws -> R
) async throws -> R {
    let log = ProcessInfo.processInfo.environment["CARILLON_KAFKA_DEBUG"] == nil ? log : Log(part: "kafka", minimum: .debug)
    return try await running(KafkaBinder(configuration: try configuration(server, change), log: log), body)
}

/// Quick to notice and to try again, and groups that do not disturb those of other tests.
func configuration(_ server: KafkaServer, _ change: (inout KafkaConfiguration) -> Void = { _ in }) throws -> KafkaConfiguration {
    var configuration = try KafkaConfiguration(uri: "kafka://\(server.bootstrap)")
    configuration.groupNaming = .destination
    configuration.heartbeat = .milliseconds(200)
    configuration.backOff = .milliseconds(50)
    configuration.longestBackOff = .milliseconds(500)
    if let debug = ProcessInfo.processInfo.environment["CARILLON_KAFKA_DEBUG"], !debug.isEmpty { configuration.properties["debug"] = debug }
    change(&configuration)
    return configuration
}
