internal import CGRPC
import Locking

/// One call of a client. Owns the library's call and all that an operation in flight writes to: every operation keeps the object until its event.
final class ServerCall: @unchecked Sendable {  // operations start under `starting`; what they write is read after their event only
    private let call = UnsafeMutablePointer<OpaquePointer?>.allocate(capacity: 1)
    private let details = UnsafeMutablePointer<grpc_call_details>.allocate(capacity: 1)
    private let metadata = UnsafeMutablePointer<grpc_metadata_array>.allocate(capacity: 1)
    private let received = UnsafeMutablePointer<UnsafeMutablePointer<grpc_byte_buffer>?>.allocate(capacity: 1)
    private let wasCancelled = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
    /// Whether the head of the answer was sent.
    private let starting = Locked(false)

    private init() {
        call.initialize(to: nil)
        grpc_call_details_init(details)
        grpc_metadata_array_init(metadata)
        received.initialize(to: nil)
        wasCancelled.initialize(to: 0)
    }

    deinit {
        if let buffer = received.pointee { grpc_byte_buffer_destroy(buffer) }
        // A call that was not answered is cancelled by this.
        if let call = call.pointee { grpc_call_unref(call) }
        grpc_call_details_destroy(details)
        grpc_metadata_array_destroy(metadata)
        call.deallocate()
        details.deallocate()
        metadata.deallocate()
        received.deallocate()
        wasCancelled.deallocate()
    }

    /// Asks for the next call. `arrived` runs on the queue's thread, with nil when the server has ended.
    static func next(of server: OpaquePointer, _ queue: CompletionQueue, arrived: @escaping @Sendable (ServerCall?) -> Void) {
        let next = ServerCall()
        Completion.of({ tag in
            grpc_server_request_call(server, next.call, next.details, next.metadata, queue.raw, queue.raw, tag) == GRPC_CALL_OK
        }) { success in arrived(success ? next : nil) }
    }

    /// `/package.Service/Method`.
    var method: String { String(decoding: [UInt8](slice: details.pointee.method), as: UTF8.self) }

    /// Returns when the call is over for whatever reason.
    func closed() async {
        var operation = grpc_op()
        operation.op = GRPC_OP_RECV_CLOSE_ON_SERVER
        operation.data.recv_close_on_server.cancelled = wasCancelled
        _ = await perform([operation])
    }

    /// The request's bytes; nil when there is none, because the client left or ended its side without one.
    func request() async -> [UInt8]? {
        var operation = grpc_op()
        operation.op = GRPC_OP_RECV_MESSAGE
        operation.data.recv_message.recv_message = received
        guard await perform([operation]), let buffer = received.pointee else { return nil }
        var reader = grpc_byte_buffer_reader()
        guard grpc_byte_buffer_reader_init(&reader, buffer) != 0 else { return nil }
        defer { grpc_byte_buffer_reader_destroy(&reader) }
        let all = grpc_byte_buffer_reader_readall(&reader)
        defer { grpc_slice_unref(all) }
        return [UInt8](slice: all)
    }

    /// Sends one of several messages. Returns when the transport took it; false when the call is over.
    func send(_ message: [UInt8]) async -> Bool { await respond(message, nil) }

    /// Ends the call, with a message before the status where there is one.
    func finish(_ status: RPCStatus, _ message: [UInt8]? = nil) async { _ = await respond(message, status) }

    /// The operations of an answer, with its head before the first of them.
    private func respond(_ message: [UInt8]?, _ status: RPCStatus?) async -> Bool {
        var operations: [grpc_op] = []
        if starting.withLock({ isHeadSent in
            defer { isHeadSent = true }
            return !isHeadSent
        }) {
            operations.append(grpc_op())
            operations[0].op = GRPC_OP_SEND_INITIAL_METADATA
        }
        let buffer = message.flatMap(Self.buffer)
        // After the event.
        defer { if let buffer { grpc_byte_buffer_destroy(buffer) } }
        if let buffer {
            var operation = grpc_op()
            operation.op = GRPC_OP_SEND_MESSAGE
            operation.data.send_message.send_message = buffer
            operations.append(operation)
        }
        guard let status else { return await perform(operations) }
        let text = UnsafeMutablePointer<grpc_slice>.allocate(capacity: 1)
        text.initialize(to: grpc_slice_from_copied_string(status.message))
        defer {
            grpc_slice_unref(text.pointee)
            text.deallocate()
        }
        var operation = grpc_op()
        operation.op = GRPC_OP_SEND_STATUS_FROM_SERVER
        operation.data.send_status_from_server.status = status.code.raw
        operation.data.send_status_from_server.status_details = text
        return await perform(operations + [operation])
    }

    private static func buffer(_ bytes: [UInt8]) -> UnsafeMutablePointer<grpc_byte_buffer>? {
        var slice = bytes.withUnsafeBufferPointer { grpc_slice_from_copied_buffer($0.baseAddress, $0.count) }
        defer { grpc_slice_unref(slice) }  // the buffer holds its own reference
        return grpc_raw_byte_buffer_create(&slice, 1)
    }

    /// Returns when all of them have ended, with whether they did what they should.
    private func perform(_ operations: [grpc_op]) async -> Bool {
        await withCheckedContinuation { continuation in
            Completion.of({ tag in
                // The library wants operations of one call to be started one after the other.
                starting.withLock { _ in grpc_call_start_batch(call.pointee, operations, operations.count, tag, nil) == GRPC_CALL_OK }
            }) { [self] success in
                withExtendedLifetime(self) { continuation.resume(returning: success) }
            }
        }
    }
}

extension [UInt8] {
    init(slice: grpc_slice) {
        // A small slice carries its bytes inside itself: it has to stay in place while they are read.
        self = withUnsafePointer(to: slice) {
            Array(UnsafeBufferPointer(start: carillon_grpc_slice_bytes($0), count: carillon_grpc_slice_length($0)))
        }
    }
}
