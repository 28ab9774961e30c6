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
        if let secret = subscription.secret ?? secret { headers["carillon-signature"] = signature(of: body, secret: secret, now: now) }
        return HTTPClientRequest(
            "POST", subscription.url, headers: headers, body: body, totalLimit: subscription.timeout, responseLimit: 64 << 10)
    }

    /// `t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 by the secret of the seconds since 1970, a dot, and the body.
    package static func signature(of body: [UInt8], secret: String, now: Int64) -> String {
        let signed = Array("\(now).".utf8) + body
        return "t=\(now),v1=" + Hexadecimal.encode(HMAC.sha256(signed, key: Array(secret.utf8)))
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
            guard let pause = headers["Retry-After"].flatMap({ pause($0, now: now) }) else {
                return .failed("the subscriber answered \(status)")
            }
            return .later(min(max(pause, .milliseconds(100)), longestPause))
        case 300...399: return .failed("the subscriber answered \(status): redirects are not followed, name the last address")
        default: return .failed("the subscriber answered \(status)")
        }
    }

    /// `Retry-After`: seconds, or a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    private static func pause(_ text: String, now: Int64) -> Duration? {
        if let seconds = Int64(text.trimming()), seconds >= 0 { return .seconds(min(seconds, 1 << 30)) }
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let month = months.firstIndex(of: String(parts[2])) else { return nil }
        let number = month + 1 < 10 ? "0\(month + 1)" : "\(month + 1)"
        guard let time = TimeText.read("\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z") else { return nil }
        return .milliseconds(max(0, time - now * 1000))
    }
}
