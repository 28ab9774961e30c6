internal import Autoscaler
internal import HTTP
internal import HTTPClient
internal import JSON
internal import Telemetry

/// What an orchestrator answered.
struct RemoteAnswer: Sendable {
    let request: HTTPClientRequest
    let response: HTTPClientResponse

    var status: Int { response.status }
    var isSuccess: Bool { response.isSuccess }
    var body: [UInt8] { response.body }

    /// For messages: the method and the URL without its query.
    var asked: String { request.description }

    /// What a refusal says, for people.
    var said: String { TargetMessages.reason(body) ?? "" }

    /// How long to wait, where it says so: in its header, or in the details of Kubernetes' `Status`.
    var retryAfter: Seconds? {
        let text = response.headers["Retry-After"] ?? (try? JSONReader.read(body))?["details"]?["retryAfterSeconds"]?.scalarText
        let pause = text.flatMap { RetryAfter.pause($0, now: Timestamp.now.milliseconds / 1000) }
        return pause.map { Seconds($0.components.seconds) }
    }

    /// Whether the refusal speaks of something, in whatever case.
    func says(_ words: String) -> Bool { response.text.lowercased().contains(words) }
}

extension JSONValue {
    /// A number of instances; nil for whatever cannot be one.
    var count: Int? {
        guard case .number = self, let number = integer, number >= 0, number <= Int64(Int32.max) else { return nil }
        return Int(number)
    }
}
