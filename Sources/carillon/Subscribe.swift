import Foundation
import Lifecycle
import Options
import Roles
import Streams
import Telemetry

/// `carillon subscribe`: the events of a destination, printed or handed to a command.
enum Subscribe: Verb {
    static let command = Command(
        "subscribe", summary: "Prints the events of a destination, or runs a command for each.",
        explanation: """
            Without --group every subscriber gets every event. With --group each event goes to one member, and is done when it was printed or
            when the command ended with 0; any other exit code delivers it again later, to any member.
            While the server is away it waits and connects again. SIGTERM or Ctrl-C ends the event in hand and leaves.
            """,
        arguments: [.init("DESTINATION", "where events are published")],
        options: [
            .init("group", value: "NAME", "share the events with the other members of this group"),
            .init("exec", value: "COMMAND", "run `sh -c COMMAND` for each event, one at a time, the payload on its standard input"),
            .init("from", value: "START", "latest (default), earliest, or the position of an event, for what was published before"),
            .init("count", value: "N", "end after N events"),
            .init("json", "print each event as a JSON object with its headers"),
        ] + Broker.options,
        examples: [
            "carillon subscribe orders", "carillon subscribe orders --group mail --exec './send-mail'",
            "carillon subscribe orders --from earliest --json",
        ])

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        let destination = try Destination(invocation.arguments[0])
        let group = try invocation.value("group").map { name throws(BinderError) in try ConsumerGroup(name) }
        let start: StartPosition =
            switch invocation.value("from") {
            case nil, "latest": .latest
            case "earliest": .earliest
            case let position?: .after(position)
            }
        let log = Log(part: "subscribe", minimum: .warning)
        let binder = try Broker.binder(invocation, log: log)
        let subscriber = Subscriber(
            binder: binder, destination: destination, group: group, start: start,
            limit: try invocation.number("count", in: 1...Int(Int32.max)),
            handler: invocation.value("exec").map(EventHandler.command) ?? (invocation.has("json") ? .json(terminal) : .text(terminal)),
            log: log)
        try await ServiceGroup(name: "subscribe", [binder, subscriber]).runUntilSignal()
        return 0
    }
}

/// What is done with an event; true when it is done, false when it is to be delivered again.
enum EventHandler: Sendable {
    case text(Terminal)
    case json(Terminal)
    case command(String)

    func handle(_ event: Envelope, attempt: Int) async throws -> Bool {
        switch self {
        case .text(let terminal):
            terminal.print(String(decoding: event.payload, as: UTF8.self))
            return true
        case .json(let terminal):
            terminal.print(EventText.json(event, attempt: attempt))
            return true
        case .command(let command):
            return try await ShellCommand.run(
                command, input: event.payload,
                environment: [
                    "CARILLON_EVENT_ID": event.id, "CARILLON_EVENT_ATTEMPT": String(attempt),
                    "CARILLON_EVENT_TYPE": event.contentType ?? "",
                    "CARILLON_EVENT_KEY": event.key ?? "",
                ]) == 0
        }
    }
}

/// One subscription until shutdown, the end of the binder, or `limit` events.
private struct Subscriber: Service {
    let name = "subscriber"
    let binder: any Binder
    let destination: Destination
    let group: ConsumerGroup?
    let start: StartPosition
    let limit: Int?
    let handler: EventHandler
    let log: Log

    func run(_ life: ServiceLife) async throws {
        let subscribed = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await consume(life, subscribed) }
            tasks.addTask {
                await life.untilShutdown()
                // Once subscribed it ends by itself, with the event in hand done.
                if !subscribed.isRequested { throw CancellationError() }
            }
            try await tasks.next()
            if subscribed.isRequested, life.shutdown.isRequested { try await tasks.next() }
            tasks.cancelAll()
        }
    }

    private func consume(_ life: ServiceLife, _ subscribed: ShutdownSignal) async throws {
        let options = SubscriptionOptions(prefetch: 1, start: start) { event in
            switch event {
            case .interrupted(let reason): log.warning("the connection is lost; connecting again", ["reason": reason])
            case .gap: log.warning("events may have been missed")
            case .ready, .resumed: break
            }
        }
        try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
            subscribed.request()
            life.started()
            var seen = 0
            while seen != limit, let delivery = try await deliveries.next(until: life.shutdown) {
                let attempt = delivery.attempt
                let done = try await handler.handle(delivery.envelope, attempt: attempt)
                // The pause doubles from one second to one minute, so that an event that cannot be done does not spin.
                try await delivery.settle(done ? .accept : .retry(after: .seconds(min(60, 1 << min(attempt - 1, 6)))))
                seen += 1
            }
        }
    }
}

/// An event as a line of JSON.
enum EventText {
    static func json(_ event: Envelope, attempt: Int) -> String {
        var text = "{\"id\":"
        JSONText.append(event.id, to: &text)
        text += ",\"attempt\":\(attempt)"
        for (name, value) in [("contentType", event.contentType), ("key", event.key)] {
            guard let value else { continue }
            text += ",\"\(name)\":"
            JSONText.append(value, to: &text)
        }
        text += ",\"headers\":{"
        text += event.headers.sorted { $0.key < $1.key }.compactMap { name, value in
            guard let value = value.text else { return nil }
            var field = ""
            JSONText.append(name, to: &field)
            field += ":"
            JSONText.append(value, to: &field)
            return field
        }.joined(separator: ",")
        text += "},\"payload\":"
        if let payload = String(validating: event.payload, as: UTF8.self) {
            JSONText.append(payload, to: &text)
            text += ",\"encoding\":\"utf-8\"}"
        } else {
            JSONText.append(Data(event.payload).base64EncodedString(), to: &text)
            text += ",\"encoding\":\"base64\"}"
        }
        return text
    }
}
