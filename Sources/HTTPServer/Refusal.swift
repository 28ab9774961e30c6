/// Why a request is refused before any handler sees it; the connection closes after the answer.
struct Refusal: Error, Hashable {
    let status: UInt32
    /// A short plain text for the one who wrote the client.
    let reason: String

    static func malformed(_ reason: String) -> Refusal { Refusal(status: 400, reason: reason) }
}
