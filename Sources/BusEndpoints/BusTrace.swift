package import Bus
package import HTTP
import JSON
import Locking
import Telemetry

/// Remembers the latest events and acknowledgements that were seen on a bus and shows them, newest first, at `GET /bus/trace`. Bounded; the
/// oldest is forgotten. Values of properties are never among it.
package final class BusTrace: Sendable {
    private struct Entry {
        let time: Timestamp
        let signal: String
        let message: BusMessage?
        let note: String?
    }
    private struct State {
        var entries: [Entry] = []
        var next = 0
    }
    private let state = Locked(State())
    private let capacity: Int

    package init(capacity: Int = 500) { self.capacity = max(1, capacity) }

    package func watch(_ bus: EventBus) {
        bus.observe { [weak self] observation in
            let entry: Entry
            func signal(_ message: BusMessage, _ direction: String) -> String {
                message.event.acknowledgement == nil ? direction : "ack \(direction)"
            }
            switch observation {
            case .sent(let message): entry = Entry(time: .now, signal: signal(message, "sent"), message: message, note: nil)
            case .received(let message, let reception):
                let note: String? = if case .passOver(let reason) = reception { reason.rawValue } else { nil }
                entry = Entry(time: .now, signal: signal(message, "received"), message: Self.light(message), note: note)
            case .refused(let error): entry = Entry(time: .now, signal: "refused", message: nil, note: error.description)
            case .ready: entry = Entry(time: .now, signal: "ready", message: nil, note: nil)
            case .gap: entry = Entry(time: .now, signal: "gap", message: nil, note: "events may have been missed")
            }
            self?.add(entry)
        }
    }

    /// Without its body, which may be large.
    private static func light(_ message: BusMessage) -> BusMessage {
        var message = message
        message.event.received = nil
        switch message.event.kind {
        case .environmentChange(let values):
            message.event.kind = .environmentChange(values.map { EnvironmentValue(name: $0.name, value: "") })
        case .custom(let type, _): message.event.kind = .custom(type: type, members: [])
        default: break
        }
        message.headers = message.receipt?.headers ?? message.details.headers
        return message
    }

    private func add(_ entry: Entry) {
        state.withLock { state in
            if state.entries.count < capacity {
                state.entries.append(entry)
            } else {
                state.entries[state.next] = entry
            }
            state.next = (state.next + 1) % capacity
        }
    }

    package var router: Router {
        var router = Router()
        router.add("GET", "/bus/trace") { request, _ in
            let limit = max(0, request.parameter("limit").flatMap { Int($0) } ?? 100)
            return HTTPResponse(
                text: JSONValue.object([JSONMember("entries", .array(Array(self.values.prefix(limit))))]).written + "\n",
                type: "application/json")
        }
        return router
    }

    /// Newest first.
    private var values: [JSONValue] {
        let entries = state.withLock { state in
            state.entries.count < capacity ? state.entries : Array(state.entries[state.next...] + state.entries[..<state.next])
        }
        return entries.reversed().map { entry in
            var members = [JSONMember("time", .string(entry.time.text)), JSONMember("signal", .string(entry.signal))]
            func add(_ name: String, _ value: String?) { if let value { members.append(JSONMember(name, .string(value))) } }
            if let event = entry.message?.event {
                add("type", event.type)
                add("id", event.id)
                add("origin", event.origin)
                add("destination", event.destination)
                if let acknowledgement = event.acknowledgement {
                    add("ackId", acknowledgement.id)
                    add("event", acknowledgement.eventClass)
                }
                if case .environmentChange(let values) = event.kind {
                    members.append(JSONMember("keys", .array(values.map { .string($0.name) })))
                }
            }
            if let receipt = entry.message?.receipt {
                add("outcome", receipt.outcome.rawValue)
                add("version", receipt.running.version)
                add("error", receipt.error)
            } else {
                add("version", entry.message?.details.version)
            }
            add("note", entry.note)
            return .object(members)
        }
    }
}
