internal import Crypto
package import HTTP
package import HTTPClient
package import Streams

/// The request that brings one event to a subscriber, and what the answer means: values, nothing is sent here.
package enum PushMessage {
    /// A CloudEvent in binary or structured mode, signed where there is a secret. `attempt` counts from 1.
    package static func request(
        _ envelope: Envelope, attempt: Int, to subscription: PushSubscription, secret: String?, now: Int64
    ) -> HTTPClientRequest {
        let event = CloudEvent(envelope, from: subscription.key.destination)
        var headers: HTTPHeaders
        let body: [UInt8]
        switch subscription.format {
        case .binary: (headers, body) = event.binary
        case .structured:
            body = event.structured()
            headers = ["Content-Type": CloudEvent.structuredType + "; charset=UTF-8"]
        }
        for (name, value) in headers.fields where value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { headers[name] = nil }
        for name in ["traceparent", "tracestate"] {
            if let value = envelope.headers[name]?.text { headers[name] = CloudEvent.encode(value) }
        }
        headers["carillon-group"] = CloudEvent.encode(subscription.key.group.name)
        headers["carillon-attempt"] = String(attempt)
        if let secret = subscription.secret ?? secret {
            headers[BodySignature.field] = BodySignature.make(of: body, secret: Array(secret.utf8), now: now)
        }
        return HTTPClientRequest(
            "POST", subscription.url, headers: headers, body: body, totalLimit: subscription.timeout, responseLimit: 64 << 10)
    }

    package enum Answer: Sendable, Hashable {
        case accepted
        /// The subscriber wants no more.
        case gone
        /// The subscriber asks for a pause: the event is not to blame.
        case later(Duration)
        case failed(String)

        /// For metrics.
        var word: String {
            switch self {
            case .accepted: "accepted"
            case .gone: "gone"
            case .later: "later"
            case .failed: "failed"
            }
        }
    }

    package static func answer(_ status: Int, _ headers: HTTPHeaders, longestPause: Duration, now: Int64) -> Answer {
        switch status {
        case 200...299: return .accepted
        case 410: return .gone
        case 429, 503:
            guard let pause = headers["Retry-After"].flatMap({ RetryAfter.pause($0, now: now) }) else {
                return .failed("the subscriber answered \(status)")
            }
            return .later(min(max(pause, .milliseconds(100)), longestPause))
        case 300...399: return .failed("the subscriber answered \(status): redirects are not followed, name the last address")
        default: return .failed("the subscriber answered \(status)")
        }
    }
}
