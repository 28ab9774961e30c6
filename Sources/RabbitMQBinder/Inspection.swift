import Locking
import Streams
import ThreadExecutor

/// A connection for questions to the broker, on a thread of its own. It is kept from one question to the next, and made anew when it was idle for
/// so long that the broker may have given it up.
final class Inspection: @unchecked Sendable {  // `connection` and `usedAt` are touched on the executor's thread only
    private let configuration: RabbitMQConfiguration
    private let executor = Locked<ThreadExecutor?>(nil)
    private var connection: AMQPConnection?
    private var usedAt: UInt64 = 0

    init(_ configuration: RabbitMQConfiguration) { self.configuration = configuration }

    /// `missing`: the error for something that is not there.
    func run<R: Sendable>(
        _ body: @escaping @Sendable (AMQPConnection) throws(AMQPFailure) -> R, missing: () -> BinderError
    ) async throws(BinderError) -> R {
        let thread = executor.withLock { executor in
            let thread = executor ?? ThreadExecutor(name: "amqp-inspect")
            executor = thread
            return thread
        }
        do {
            return try await thread.run { try self.ask(body) }
        } catch let failure as AMQPFailure {
            throw failure.cause == .reply(404) ? missing() : failure.binderError
        } catch {
            throw BinderError(.unreachable, "\(error)")
        }
    }

    /// On the thread.
    private func ask<R: Sendable>(_ body: (AMQPConnection) throws(AMQPFailure) -> R) throws(AMQPFailure) -> R {
        let kept = usedAt + configuration.heartbeat.nanoseconds > Monotonic.now ? connection : nil
        connection = nil
        usedAt = Monotonic.now
        guard let kept else { return try keep(connect(), body) }
        do throws(AMQPFailure) {
            return try keep(kept, body)
        } catch {
            guard error.cause == .connection else { throw error }
            return try keep(connect(), body)  // it was lost meanwhile
        }
    }

    /// Runs the body, and keeps the connection where it is still good.
    private func keep<R>(_ connection: AMQPConnection, _ body: (AMQPConnection) throws(AMQPFailure) -> R) throws(AMQPFailure) -> R {
        do throws(AMQPFailure) {
            let answer = try body(connection)
            self.connection = connection
            return answer
        } catch {
            if error.cause != .connection { connection.close() }
            throw error
        }
    }

    private func connect() throws(AMQPFailure) -> AMQPConnection {
        var failure: AMQPFailure?
        for address in configuration.addresses {
            do throws(AMQPFailure) {
                return try AMQPConnection(configuration, address: address, purpose: "inspect", socket: SocketGuard())
            } catch { failure = error }
        }
        throw failure ?? AMQPFailure(.connection, "no address of RabbitMQ")
    }

    /// Closes the connection and ends the thread. A question that is asked later begins anew.
    func end() {
        let thread = executor.withLock { executor in
            defer { executor = nil }
            return executor
        }
        thread?.submit {
            self.connection?.close()
            self.connection = nil
        }
        thread?.stop()
    }
}
