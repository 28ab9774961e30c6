internal import CGRPC
import Locking
import Telemetry

/// The log lines of libgrpc, which has one place for them in the whole process.
enum LibraryLog {
    private static let sink = Locked<Log?>(nil)

    /// Its errors go to `log` as debug lines: clients can cause most of them, and those that matter to us come as errors of ours too.
    static func use(_ log: Log) {
        sink.withLock { $0 = log }
        gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR)
        gpr_set_log_function { arguments in
            guard let text = arguments?.pointee.message else { return }
            LibraryLog.sink.withLock { $0 }?.debug("libgrpc", ["text": String(cString: text)])
        }
    }
}
