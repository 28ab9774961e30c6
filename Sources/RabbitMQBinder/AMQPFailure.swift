import CRabbitMQ
import Streams

/// What went wrong on a connection, as the library or the broker said it.
struct AMQPFailure: Error {
    enum Cause: Equatable {
        /// No connection, or it was lost.
        case connection
        /// The broker closed the channel or the connection with this reply code.
        case reply(Int)
        /// The broker took the queue away under the consumer.
        case cancelled
        /// What came is no AMQP.
        case broken
        /// What was to be sent does not fit.
        case size
    }
    let cause: Cause
    let text: String

    init(_ cause: Cause, _ text: String) {
        self.cause = cause
        self.text = text
    }

    /// A negative status of a library call.
    init(status: Int32, doing what: String) {
        let text = amqp_error_string2(status).map { String(cString: $0) } ?? "error \(status)"
        let size = status == AMQP_STATUS_TABLE_TOO_BIG.rawValue
        let broken = status == AMQP_STATUS_BAD_AMQP_DATA.rawValue || status == AMQP_STATUS_UNKNOWN_METHOD.rawValue
        self.init(size ? .size : broken ? .broken : .connection, "\(what): \(text)")
    }

    /// The reply of a synchronous call; nil when it went well.
    init?(reply: amqp_rpc_reply_t, doing what: String) {
        switch reply.reply_type {
        case AMQP_RESPONSE_NORMAL: return nil
        case AMQP_RESPONSE_SERVER_EXCEPTION: self.init(close: reply.reply, doing: what)
        case AMQP_RESPONSE_LIBRARY_EXCEPTION: self.init(status: reply.library_error, doing: what)
        default: self.init(.connection, "\(what): the broker closed the connection")
        }
    }

    /// A `channel.close` or `connection.close`.
    init(close method: amqp_method_t, doing what: String) {
        guard let decoded = method.decoded, method.id == AMQPMethod.channelClose || method.id == AMQPMethod.connectionClose else {
            self.init(.broken, "\(what): unexpected answer \(method.id)")
            return
        }
        // Both methods begin with the same two fields.
        let close = decoded.assumingMemoryBound(to: amqp_channel_close_t.self).pointee
        self.init(.reply(Int(close.reply_code)), "\(what): \(String(lossy: close.reply_text))")
    }

    var isConflict: Bool { cause == .reply(406) }
    /// Wrong credentials, an unknown virtual host, no permission.
    var isRefused: Bool { cause == .reply(403) || cause == .reply(530) }
    /// The queue was there in order and was taken away, or the exchange: connecting again builds it again, at once.
    var isGone: Bool { cause == .cancelled || cause == .reply(404) || cause == .reply(405) }

    /// For callers of the binder.
    var binderError: BinderError {
        switch cause {
        case .reply(403), .reply(530): BinderError(.refused, "RabbitMQ refuses: \(text)")
        case .reply(406): BinderError(.conflict, "exists on RabbitMQ with other properties: \(text)")
        case .broken: BinderError(.broken, "RabbitMQ sent what cannot be understood: \(text)")
        case .size: BinderError(.tooLarge, "too large for RabbitMQ: \(text)")
        case .connection, .reply, .cancelled: BinderError(.unreachable, "no connection to RabbitMQ: \(text)")
        }
    }
}
