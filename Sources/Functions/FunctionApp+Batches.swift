extension FunctionApp {
    // Handlers of batches. Throw `BatchFailure(at: index, error)` where the events before `index` are done: they are accepted, and the failed
    // one is tried again with those behind it. Any other error concerns the whole batch.

    /// Handles several events at once, with any number of results.
    public func batch(_ name: String, input: Int? = nil, _ handler: @escaping @Sendable ([Envelope]) async throws -> [Envelope]) {
        add(name, input, Function(body: .batch { try await handler($0).map { FunctionResult($0) } }, needsOutput: false))
    }

    /// Handles several events at once, without a result.
    public func batch(_ name: String, input: Int? = nil, _ handler: @escaping @Sendable ([Envelope]) async throws -> Void) {
        add(
            name, input,
            Function(
                body: .batch {
                    try await handler($0)
                    return []
                }, needsOutput: false))
    }

    /// Handles several decoded payloads at once. Those that cannot be decoded go to the dead letters, and the handler gets the others.
    public func batch<Input: Decodable & Sendable, Output: Encodable & Sendable>(
        _ name: String, input: Int? = nil, _ handler: @escaping @Sendable ([Input]) async throws -> Output?
    ) {
        let body: @Sendable ([Envelope]) async throws -> [FunctionResult] = { envelopes in
            guard let output = try await handler(Self.decode(envelopes)) else { return [] }
            return [try FunctionResult(encoding: output)]
        }
        add(name, input, Function(body: .batch(body), needsOutput: true))
    }

    /// Handles several decoded payloads at once, without a result.
    public func batch<Input: Decodable & Sendable>(
        _ name: String, input: Int? = nil, _ handler: @escaping @Sendable ([Input]) async throws -> Void
    ) {
        let body: @Sendable ([Envelope]) async throws -> [FunctionResult] = { envelopes in
            try await handler(Self.decode(envelopes))
            return []
        }
        add(name, input, Function(body: .batch(body), needsOutput: false))
    }

    private static func decode<Value: Decodable>(_ envelopes: [Envelope]) throws -> [Value] {
        var values: [Value] = []
        var failures: [Int: any Error] = [:]
        for (index, envelope) in envelopes.enumerated() {
            do { values.append(try PayloadConversion.decode(Value.self, from: envelope)) } catch { failures[index] = error }
        }
        guard failures.isEmpty else { throw UnusableEvents(failures) }
        return values
    }
}
