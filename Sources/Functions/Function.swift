/// A registered handler, without its types.
struct Function: Sendable {
    enum Body: Sendable {
        case single(@Sendable (Envelope) async throws -> [FunctionResult])
        /// The indices of a `BatchFailure` are places in the given batch.
        case batch(@Sendable ([Envelope]) async throws -> [FunctionResult])
    }
    let body: Body
    /// Whether every result needs an output: typed handlers that return something. Envelopes may name their destination themselves.
    let needsOutput: Bool
}

/// What a handler returned, as an envelope.
struct FunctionResult: Sendable {
    var envelope: Envelope
    /// Whether the handler chose the media type; else the output's outranks it.
    var namesType: Bool

    init(_ envelope: Envelope) {
        self.envelope = envelope
        namesType = envelope.contentType != nil
        if !namesType { self.envelope.contentType = MediaType.json }
    }

    init<Value: Encodable>(encoding value: Value) throws(ConversionFailure) {
        let encoded = try PayloadConversion.encode(value)
        envelope = Envelope(payload: encoded.payload, contentType: encoded.contentType)
        namesType = false
    }

    init<Value: Encodable>(encoding message: Message<Value>) throws(ConversionFailure) {
        try self.init(encoding: message.payload)
        envelope.headers = message.headers
        envelope.key = message.key
        if let contentType = message.contentType {
            envelope.contentType = contentType
            namesType = true
        }
    }
}

/// Functions one after the other: the results of each are the events of the next.
struct FunctionChain: Sendable {
    /// As in settings: `audit|charge`.
    let definition: String
    let functions: [Function]

    var takesBatches: Bool { if case .batch = functions.first?.body { true } else { false } }
    var needsOutput: Bool { functions.last?.needsOutput ?? false }

    func run(_ envelope: Envelope) async throws -> [FunctionResult] {
        guard case .single(let body) = functions.first?.body else { return [] }
        return try await passOn(try await body(envelope), ids: [envelope.id], key: envelope.key)
    }

    func run(_ batch: [Envelope]) async throws -> [FunctionResult] {
        guard case .batch(let body) = functions.first?.body else { return [] }
        return try await passOn(try await body(batch), ids: Set(batch.map(\.id)), key: nil)
    }

    /// Results without a key take over that of their one event. A handler that returns an event that it was given sends a new one all the same.
    private func passOn(_ first: [FunctionResult], ids: Set<String>, key: String?) async throws -> [FunctionResult] {
        func marked(_ results: [FunctionResult]) -> [FunctionResult] {
            results.map { result in
                var result = result
                result.envelope.key = result.envelope.key ?? key
                if ids.contains(result.envelope.id) {
                    result.envelope.id = Identifier.random()
                    result.envelope.timestamp = nil
                }
                return result
            }
        }
        var results = marked(first)
        for function in functions.dropFirst() {
            guard case .single(let body) = function.body else { return [] }
            var next: [FunctionResult] = []
            for result in results { next += try await body(result.envelope) }
            results = marked(next)
        }
        return results
    }
}
