/// What the library's thread knows of the request in hand. Never seen by another thread, so it needs no lock; its arrays keep their room from one
/// request of a connection to the next.
struct Exchange {
    enum Stage { case header, receiving, handling }
    private(set) var stage = Stage.header
    /// The target as sent.
    private(set) var target: [UInt8] = []
    private(set) var framing = HeaderBlock.Framing()
    private(set) var method = ""
    private(set) var body: [UInt8] = []
    private(set) var received = 0
    private(set) var isBodyTooLong = false
    /// Taken once for each connection.
    var remoteAddress: String?
    var clientCertificate: ClientCertificate?

    mutating func begin(target bytes: UnsafeRawBufferPointer) {
        stage = .header
        target.removeAll(keepingCapacity: true)
        target.append(contentsOf: bytes)
        if !body.isEmpty { body = [] }
        received = 0
        isBodyTooLong = false
    }

    /// `method` is only needed where it is not GET or HEAD.
    mutating func headerEnded(_ framing: HeaderBlock.Framing, method: @autoclosure () -> String) {
        self.framing = framing
        self.method =
            switch framing.method {
            case .get: "GET"
            case .head: "HEAD"
            case .other: method()
            }
        stage = .receiving
    }

    /// Keeps a piece of the body. Returns false when even the part to throw away is too long.
    mutating func receive(_ piece: UnsafeRawBufferPointer, limit: Int, discarded: Int) -> Bool {
        received += piece.count
        if received > limit {
            isBodyTooLong = true
            body = []
            return received <= discarded
        }
        // The length is within the limit: that was looked at when the header came.
        if body.isEmpty, framing.length > piece.count { body.reserveCapacity(framing.length) }
        body.append(contentsOf: piece)
        return true
    }

    mutating func handlingBegins() -> [UInt8] {
        stage = .handling
        defer { body = [] }
        return body
    }
}
