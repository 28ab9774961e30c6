import Telemetry

/// What is known of the event that a handler has in hand, beside the event itself.
public struct FunctionContext: Sendable {
    /// The binding that the event came by: `charge-in-0`.
    public let binding: String
    public let destination: String
    /// 1 for the first call, counted over all deliveries where the broker tells of them.
    public let attempt: Int
    /// The W3C trace context of the event; of the first one of a batch.
    public let traceparent: String?
    let traceHeaders: [String: HeaderValue]

    @TaskLocal static var active: FunctionContext?

    /// Within a handler, and in tasks that it has started; nil elsewhere.
    public static var current: FunctionContext? { active }

    init(binding: String, destination: String, attempt: Int, envelope: Envelope) {
        self.binding = binding
        self.destination = destination
        self.attempt = attempt
        var headers: [String: HeaderValue] = [:]
        var parent: String?
        if let text = envelope.headers["traceparent"]?.text, let trace = TraceContext(text) {
            parent = text
            var generator = SystemRandomNumberGenerator()
            headers["traceparent"] = .string(trace.child(using: &generator).text)
            for name in ["tracestate", "baggage"] { headers[name] = envelope.headers[name] }
        }
        traceparent = parent
        traceHeaders = headers
    }
}
