import Foundation
import Lifecycle
import Locking
import Options
import Streams

/// Publishes standard input, line by line or whole, and ends.
final class Publisher: Service {
    let name = "publisher"
    private let binder: any Binder
    private let destination: Destination
    private let template: Envelope
    private let invocation: Invocation
    private let state = Locked((confirmed: 0, done: false))

    init(binder: any Binder, destination: Destination, template: Envelope, _ invocation: Invocation) {
        self.binder = binder
        self.destination = destination
        self.template = template
        self.invocation = invocation
    }

    var confirmed: Int { state.withLock { $0.confirmed } }
    var isDone: Bool { state.withLock { $0.done } }

    func run(_ life: ServiceLife) async throws {
        life.started()
        let lines = StandardInput()
        _ = try await life.cancelOnShutdown { [self] in
            if invocation.has("whole") {
                try await publish(try await lines.everything())
            } else {
                while let line = try await lines.next() { try await publish(line) }
            }
            state.withLock { $0.done = true }
        }
    }

    private func publish(_ payload: [UInt8]) async throws {
        var event = template
        event.id = Identifier.random()
        event.payload = payload
        do {
            _ = try await binder.publish(event, to: destination)
        } catch {
            let confirmed = confirmed
            throw Failure("\(Broker.reason(error, invocation)); \(confirmed) events before it were confirmed")
        }
        state.withLock { $0.confirmed += 1 }
    }
}
