/// A decoded payload with the headers that it came with, or is to be sent with.
public struct Message<Payload: Sendable>: Sendable {
    public var payload: Payload
    public var headers: [String: HeaderValue]
    /// Events of one key keep their order. A result without one takes over that of the input.
    public var key: String?
    /// Of the event that was received; a result's own is made when it is sent.
    public let id: String
    /// Media type; of a result: nil is that of the binding.
    public var contentType: String?

    public init(_ payload: Payload, headers: [String: HeaderValue] = [:], key: String? = nil, contentType: String? = nil) {
        self.payload = payload
        self.headers = headers
        self.key = key
        self.contentType = contentType
        id = Identifier.random()
    }

    init(_ payload: Payload, of envelope: Envelope) {
        self.payload = payload
        headers = envelope.headers
        key = envelope.key
        contentType = envelope.contentType
        id = envelope.id
    }
}
