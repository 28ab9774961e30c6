import CRDKafka
import Streams

/// What went wrong, as the library or a broker said it.
struct KafkaFailure: Error {
    let code: rd_kafka_resp_err_t
    let text: String

    init(_ code: rd_kafka_resp_err_t, _ text: String) {
        self.code = code
        self.text = text
    }

    init(_ code: rd_kafka_resp_err_t, doing what: String) { self.init(code, "\(what): \(Self.words(code))") }

    static func words(_ code: rd_kafka_resp_err_t) -> String {
        rd_kafka_err2str(code).map { String(cString: $0) } ?? "error \(code.rawValue)"
    }

    /// An error event of a queue.
    init(event: OpaquePointer?) {
        let code = rd_kafka_event_error(event)
        self.init(code, rd_kafka_event_error_string(event).map { String(cString: $0) } ?? Self.words(code))
    }

    /// Wrong credentials, no permission, a certificate that does not hold.
    var isRefused: Bool { Self.refusals.contains(code) }
    private static let refusals: [rd_kafka_resp_err_t] = [
        RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, RD_KAFKA_RESP_ERR__SSL,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM,
        RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE, RD_KAFKA_RESP_ERR_SECURITY_DISABLED,
    ]

    var isUnknownTopic: Bool {
        [
            RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
        ].contains(code)
    }

    /// For callers of the binder.
    var binderError: BinderError {
        if isRefused { return BinderError(.refused, "Kafka refuses: \(text)") }
        switch code {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
            return BinderError(.tooLarge, "too large for Kafka: \(text); raise message.max.bytes of the topic or send less")
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR,
            RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, RD_KAFKA_RESP_ERR_POLICY_VIOLATION, RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
            return BinderError(.invalid, "Kafka cannot do that: \(text)")
        case RD_KAFKA_RESP_ERR__QUEUE_FULL: return BinderError(.blocked, "too many publishes wait for Kafka: \(text)")
        case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, RD_KAFKA_RESP_ERR_INVALID_RECORD:
            return BinderError(.rejected, "Kafka refused the event: \(text)")
        default: return BinderError(.unreachable, "no answer of Kafka: \(text)")
        }
    }
}
