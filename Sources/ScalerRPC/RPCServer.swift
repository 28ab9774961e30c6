internal import CGRPC
import Glibc
import Lifecycle
import Locking
import Telemetry

/// A gRPC server of the C core: listens, and hands each call to a task.
///
/// `start`, `serve` and `end` once each, in this order; `end` also after a `serve` that was cancelled.
final class RPCServer: @unchecked Sendable {  // the library's server is made for use from several threads
    private struct Calls {
        var open = 0
        /// Whether the library was asked for the next call and has not answered.
        var isAsked = false
        var isEnding = false
    }
    private let queue: CompletionQueue
    private let server: OpaquePointer
    private let limits: ScalerLimits
    private let calls = Locked(Calls())
    private let arrived: AsyncStream<ServerCall>
    private let arrivals: AsyncStream<ServerCall>.Continuation
    /// The library has told that no call and no connection is left.
    private let isEmpty = ShutdownSignal()

    init(_ limits: ScalerLimits, log: Log) throws(ScalerServerError) {
        self.limits = limits
        queue = try CompletionQueue(log: log)
        // Below the bound of calls, nothing that comes is ever dropped.
        (arrived, arrivals) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(limits.streams + limits.calls))
        server = Self.make(limits)
        grpc_server_register_completion_queue(server, queue.raw, nil)
    }

    private static func make(_ limits: ScalerLimits) -> OpaquePointer {
        func milliseconds(_ duration: Duration) -> Int { Int(duration / .milliseconds(1)) }
        let settings: [(String, Int)] = [
            // Or a second process could listen on the same port, and each would get a part of the calls.
            (GRPC_ARG_ALLOW_REUSEPORT, 0),
            (GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, limits.message),
            (GRPC_ARG_MAX_METADATA_SIZE, limits.metadata),
            // Requests come as they are (the first of the algorithms is none): 64 KiB can hold what is 64 MiB afterwards.
            (GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1),
            (GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
            // One client may need them all: KEDA has one connection, and one that waits for a free stream says nothing.
            (GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.streams + limits.calls),
            (GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, milliseconds(limits.handshakeTime)),
            (GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds(limits.keepalive)),
            (GRPC_ARG_KEEPALIVE_TIMEOUT_MS, milliseconds(limits.keepaliveTime)),
            (GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
            (GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
            (GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000),
            // What is kept for a debugging service that is not offered.
            (GRPC_ARG_ENABLE_CHANNELZ, 0),
        ]
        var arguments = settings.map { name, value in
            var argument = grpc_arg()
            argument.type = GRPC_ARG_INTEGER
            argument.key = strdup(name)
            argument.value.integer = Int32(value)
            return argument
        }
        defer { for argument in arguments { free(argument.key) } }
        return arguments.withUnsafeMutableBufferPointer { buffer in
            var all = grpc_channel_args(num_args: buffer.count, args: buffer.baseAddress)
            return grpc_server_create(&all, nil)
        }
    }

    /// Listens at a numeric address and returns the port. Blocks.
    func listen(_ place: ScalerPlace, _ credentials: ServerCredentials) throws(ScalerServerError) -> Int {
        let port = withExtendedLifetime(credentials) { grpc_server_add_http2_port(server, place.text, credentials.raw) }
        guard port > 0 else { throw place.problem }
        grpc_server_start(server)
        return Int(port)
    }

    /// Answers calls until `end` is asked for and the last one is answered, or the task is cancelled. Calls that are in hand after the drain time
    /// are cut.
    func serve(until end: ShutdownSignal, _ answer: @escaping @Sendable (ServerCall) async -> Void) async {
        ask()
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                await end.wait()
                stop()
                await isEmpty.wait(atMost: limits.drainTime)
                grpc_server_cancel_all_calls(server)
            }
            for await call in arrived {
                group.addTask { [self] in
                    await withTaskGroup(of: Void.self) { both in
                        both.addTask { await call.closed() }
                        both.addTask { await answer(call) }
                        // The answer is out, or the client has left: either way the other one ends soon.
                        await both.next()
                        both.cancelAll()
                    }
                    calls.withLock { $0.open -= 1 }
                    ask()
                }
            }
        }
    }

    /// Frees everything; the object is of no use afterwards.
    func end() async {
        stop()
        grpc_server_cancel_all_calls(server)
        // Shielded from cancellation: nothing may be freed before the library has told that it is done.
        await Task { [isEmpty] in await isEmpty.wait() }.value
        grpc_server_destroy(server)
        await queue.shutDown()
    }

    /// Takes no more connections and calls, and tells clients to leave.
    private func stop() {
        let isFirst = calls.withLock { calls in
            defer { calls.isEnding = true }
            return !calls.isEnding
        }
        guard isFirst else { return }
        Completion.of({ tag in
            grpc_server_shutdown_and_notify(server, queue.raw, tag)
            return true
        }) { [isEmpty] _ in isEmpty.request() }
        settle()
    }

    /// Asks for the next call where there is room for it.
    private func ask() {
        let hasRoom = calls.withLock { calls in
            guard !calls.isEnding, !calls.isAsked, calls.open < limits.streams + limits.calls else { return false }
            calls.isAsked = true
            return true
        }
        guard hasRoom else { return }
        ServerCall.next(of: server, queue) { [self] call in
            calls.withLock { calls in
                calls.isAsked = false
                if call != nil { calls.open += 1 }
            }
            if let call { arrivals.yield(call) }
            settle()
            ask()
        }
    }

    /// Ends the sequence of calls once none can come any more.
    private func settle() {
        if calls.withLock({ $0.isEnding && !$0.isAsked }) { arrivals.finish() }
    }
}
