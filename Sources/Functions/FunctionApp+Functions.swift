extension FunctionApp {
    // Handlers of single events. `input` names one of several inputs: `charge-in-1` is input 1; a handler without it takes all inputs that
    // have none of their own.

    /// Handles events as they are. A returned envelope goes to the function's output, or where its header
    /// `spring.cloud.stream.sendto.destination` says.
    public func function(
        _ name: String, input: Int? = nil, _ handler: @escaping @Sendable (Envelope) async throws -> Envelope?
    ) {
        add(name, input, Function(body: .single { try await handler($0).map { [FunctionResult($0)] } ?? [] }, needsOutput: false))
    }

    /// Handles events as they are, with any number of results.
    public func function(
        _ name: String, input: Int? = nil, _ handler: @escaping @Sendable (Envelope) async throws -> [Envelope]
    ) {
        add(name, input, Function(body: .single { try await handler($0).map { FunctionResult($0) } }, needsOutput: false))
    }

    /// Handles events as they are, without a result.
    public func function(_ name: String, input: Int? = nil, _ handler: @escaping @Sendable (Envelope) async throws -> Void) {
        add(
            name, input,
            Function(
                body: .single {
                    try await handler($0)
                    return []
                }, needsOutput: false))
    }

    /// Handles decoded payloads: JSON, or the payload as it is for `String`, `[UInt8]` and `Data`. A payload that cannot be decoded goes to
    /// the dead letters without a call. The result is sent, and confirmed by its broker, before the event counts as done: after a crash
    /// between the two, both come again.
    public func function<Input: Decodable & Sendable, Output: Encodable & Sendable>(
        _ name: String, input: Int? = nil, _ handler: @escaping @Sendable (Input) async throws -> Output?
    ) {
        let body: @Sendable (Envelope) async throws -> [FunctionResult] = { envelope in
            guard let output = try await handler(PayloadConversion.decode(Input.self, from: envelope)) else { return [] }
            return [try FunctionResult(encoding: output)]
        }
        add(name, input, Function(body: .single(body), needsOutput: true))
    }

    /// Handles decoded payloads without a result.
    public func function<Input: Decodable & Sendable>(
        _ name: String, input: Int? = nil, _ handler: @escaping @Sendable (Input) async throws -> Void
    ) {
        let body: @Sendable (Envelope) async throws -> [FunctionResult] = { envelope in
            try await handler(PayloadConversion.decode(Input.self, from: envelope))
            return []
        }
        add(name, input, Function(body: .single(body), needsOutput: false))
    }

    /// Handles decoded payloads with their headers and keys.
    public func function<Input: Decodable & Sendable, Output: Encodable & Sendable>(
        _ name: String, input: Int? = nil, _ handler: @escaping @Sendable (Message<Input>) async throws -> Message<Output>?
    ) {
        let body: @Sendable (Envelope) async throws -> [FunctionResult] = { envelope in
            let message = Message(try PayloadConversion.decode(Input.self, from: envelope), of: envelope)
            guard let output = try await handler(message) else { return [] }
            return [try FunctionResult(encoding: output)]
        }
        add(name, input, Function(body: .single(body), needsOutput: false))
    }

    /// Handles decoded payloads with their headers and keys, without a result.
    public func function<Input: Decodable & Sendable>(
        _ name: String, input: Int? = nil, _ handler: @escaping @Sendable (Message<Input>) async throws -> Void
    ) {
        let body: @Sendable (Envelope) async throws -> [FunctionResult] = { envelope in
            try await handler(Message(try PayloadConversion.decode(Input.self, from: envelope), of: envelope))
            return []
        }
        add(name, input, Function(body: .single(body), needsOutput: false))
    }
}
