import Foundation
import Lifecycle
import Options
import Roles
import Streams
import Telemetry

/// `carillon publish`: each line of standard input as an event.
enum Publish: Verb {
    static let command = Command(
        "publish", summary: "Publishes each line of standard input as an event.",
        explanation: "Ends with exit code 0 when the broker has confirmed all of them. Lines keep their order; empty ones are events, too.",
        arguments: [.init("DESTINATION", "where to publish")],
        options: [
            .init("key", value: "KEY", "events of one key keep their order and meet in one partition"),
            .init("type", value: "MEDIATYPE", "content type of the events; text/plain unless given"),
            .init("header", value: "NAME=VALUE", "a header of every event", repeats: true),
            .init("whole", "the whole input is one event"),
            .init("json", "print how many events were confirmed as JSON"),
        ] + Broker.options,
        examples: ["echo 'order 7' | carillon publish orders", "carillon publish orders --type application/json --whole <order.json"])

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        let destination = try Destination(invocation.arguments[0])
        var headers: [String: HeaderValue] = [:]
        for pair in invocation.all("header") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else { throw Failure("`--header \(pair)` is no NAME=VALUE", code: 2) }
            headers[String(parts[0])] = .string(String(parts[1]))
        }
        let template = Envelope(
            payload: [], contentType: invocation.value("type") ?? "text/plain", headers: headers, key: invocation.value("key"))
        let log = Log(part: "publish", minimum: .warning)
        let binder = try Broker.binder(invocation, log: log)
        let publisher = Publisher(binder: binder, destination: destination, template: template, invocation)
        try await ServiceGroup(name: "publish", [binder, publisher]).runUntilSignal()
        guard publisher.isDone else { throw Failure("interrupted: \(publisher.confirmed) events were confirmed, the rest was not sent") }
        if invocation.has("json") { terminal.print("{\"confirmed\":\(publisher.confirmed)}") }
        return 0
    }
}
