internal import CGRPC
import Telemetry
import ThreadExecutor

/// What a tag of the queue points at: retained when an operation starts, released by the one event that ends it.
final class Completion: Sendable {
    private let body: @Sendable (Bool) -> Void

    private init(_ body: @escaping @Sendable (Bool) -> Void) { self.body = body }

    /// Hands `start` the tag of an operation. `body` is called once: on the queue's thread with what became of the operation, or at once with false
    /// when `start` says that there is none.
    static func of(_ start: (UnsafeMutableRawPointer) -> Bool, _ body: @escaping @Sendable (Bool) -> Void) {
        let completion = Unmanaged.passRetained(Completion(body))
        let tag = completion.toOpaque()
        carillon_grpc_released(tag)
        if !start(tag) { completion.takeRetainedValue().body(false) }
    }

    fileprivate static func end(_ tag: UnsafeMutableRawPointer, success: Bool) {
        carillon_grpc_acquired(tag)
        Unmanaged<Completion>.fromOpaque(tag).takeRetainedValue().body(success)
    }
}

/// The library, started, with one queue of events and the thread that takes them from it.
final class CompletionQueue: @unchecked Sendable {  // the library's queue is made for use from several threads
    let raw: OpaquePointer
    private let thread: ThreadExecutor

    init(log: Log) throws(ScalerServerError) {
        if let problem = carillon_grpc_load() { throw .library(reason: String(cString: problem)) }
        LibraryLog.use(log)
        grpc_init()
        guard let raw = grpc_completion_queue_create_for_next(nil) else {
            grpc_shutdown()
            throw .libraryStart
        }
        self.raw = raw
        thread = ThreadExecutor(name: "keda-events")
        thread.submit { [self] in takeEvents() }
    }

    private func takeEvents() {
        while true {
            let event = grpc_completion_queue_next(raw, gpr_inf_future(GPR_CLOCK_REALTIME), nil)
            if event.type == GRPC_QUEUE_SHUTDOWN { return }
            if event.type == GRPC_OP_COMPLETE, let tag = event.tag { Completion.end(tag, success: event.success != 0) }
        }
    }

    /// Returns when the last event was taken and nothing of the library is left. Nothing may be started on the queue any more.
    func shutDown() async {
        grpc_completion_queue_shutdown(raw)
        // Runs after `takeEvents`, which ends now.
        try? await thread.run { [self] in
            grpc_completion_queue_destroy(raw)
            grpc_shutdown()
        }
        thread.stop()
    }
}
