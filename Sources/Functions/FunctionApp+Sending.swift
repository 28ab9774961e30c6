import Streams

extension FunctionApp {
    /// Sends an event to an output by its name, or to a destination of that name on the default broker. Returns after the broker's confirm;
    /// waits for the broker to be connected, up to the binder's time limit. Usable from handlers, and from elsewhere while the app runs.
    @discardableResult
    public func send(_ envelope: Envelope, to name: String) async throws(BinderError) -> PublishReceipt {
        try await outputs.send(FunctionResult(envelope), to: outputs.output(name))
    }

    /// Sends a value as JSON; texts and bytes as they are.
    @discardableResult
    public func send<Value: Encodable & Sendable>(
        _ value: Value, to name: String, key: String? = nil, headers: [String: HeaderValue] = [:]
    ) async throws -> PublishReceipt {
        try await send(Message(value, headers: headers, key: key), to: name)
    }

    @discardableResult
    public func send<Value: Encodable & Sendable>(_ message: Message<Value>, to name: String) async throws -> PublishReceipt {
        try await outputs.send(FunctionResult(encoding: message), to: outputs.output(name))
    }
}
