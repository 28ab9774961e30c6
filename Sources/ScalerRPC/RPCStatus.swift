internal import CGRPC

/// How a call ends, as its client is told.
struct RPCStatus: Error, Sendable, Hashable {
    enum Code: Sendable, Hashable {
        case ok, invalidArgument, deadlineExceeded, notFound, resourceExhausted, unimplemented, unavailable
    }
    let code: Code
    let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    static let ok = RPCStatus(.ok, "")
    static let ending = RPCStatus(.unavailable, "the server is ending: ask again soon")
    /// For a call that nobody listens to any more.
    static let left = RPCStatus(.unavailable, "the client left")
}

extension RPCStatus.Code {
    var raw: grpc_status_code {
        switch self {
        case .ok: GRPC_STATUS_OK
        case .invalidArgument: GRPC_STATUS_INVALID_ARGUMENT
        case .deadlineExceeded: GRPC_STATUS_DEADLINE_EXCEEDED
        case .notFound: GRPC_STATUS_NOT_FOUND
        case .resourceExhausted: GRPC_STATUS_RESOURCE_EXHAUSTED
        case .unimplemented: GRPC_STATUS_UNIMPLEMENTED
        case .unavailable: GRPC_STATUS_UNAVAILABLE
        }
    }
}
