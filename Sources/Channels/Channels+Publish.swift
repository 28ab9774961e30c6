internal import HTTP
internal import Streams

extension Channels {
    /// Publishes the body: as it is, or what it holds where its type is an envelope's or a CloudEvent's. Answers after the broker's confirm.
    func publish(_ request: HTTPRequest, to destination: Destination) async throws -> HTTPResponse {
        guard request.body.count <= settings.bodyBytes else {
            throw ChannelError(
                413, "tooLarge", "the body has \(request.body.count) bytes; events of up to \(settings.bodyBytes) are taken here")
        }
        if Self.mediaType(request) == CloudEvent.batchType { return try await publishBatch(request, to: destination) }
        return .json(200, Self.wire(try await publish(try Self.envelope(of: request), to: destination)))
    }

    private func publish(_ envelope: Envelope, to destination: Destination) async throws -> PublishReceipt {
        try await limited(settings.confirmLimit) { [binder] () async throws(BinderError) in
            try await binder.publish(envelope, to: destination)
        }
    }

    private static func wire(_ receipt: PublishReceipt) -> WireValue {
        var members = [WireValue.Member("id", .string(receipt.id))]
        if let position = receipt.position { members.append(.init("position", .string(position))) }
        return .object(members)
    }

    /// One after the other, in the order of the batch; nothing is published unless all can be read. A failure ends it, and is answered with what
    /// was published before.
    private func publishBatch(_ request: HTTPRequest, to destination: Destination) async throws -> HTTPResponse {
        let envelopes = try CloudEvent.batch(request.body).map(\.envelope)
        guard envelopes.count <= settings.batch else {
            throw ChannelError(
                413, "tooLarge", "the batch has \(envelopes.count) events; up to \(settings.batch) are taken here: send several batches")
        }
        var published: [WireValue] = []
        do {
            for envelope in envelopes { published.append(Self.wire(try await publish(envelope, to: destination))) }
        } catch {
            var failure = ChannelError.of(error)
            failure.details = [.init("events", .array(published))]
            throw failure
        }
        return .json(200, .object([.init("events", .array(published))]))
    }

    static func envelope(of request: HTTPRequest) throws -> Envelope {
        switch mediaType(request) {
        case Envelope.wireType:
            do { return try Envelope(wire: try WireValue(request.body)) } catch let error as WireValue.Malformed {
                throw ChannelError(400, "invalid", "the body is said to be an envelope, but is \(error)")
            }
        case CloudEvent.structuredType: return keyed(try CloudEvent(structured: request.body).envelope, by: request)
        case let type? where type.hasPrefix("application/cloudevents"):
            throw ChannelError(
                415, "invalid",
                "CloudEvents are taken as \(CloudEvent.structuredType), as \(CloudEvent.batchType), or by `ce-` fields, not as \(type)")
        default: break
        }
        if CloudEvent.isBinary(request.headers) {
            var envelope = try CloudEvent(binary: request.headers, body: request.body).envelope
            envelope.headers.merge(headers(request) { !$0.hasPrefix("ce-") }) { known, _ in known }
            return keyed(envelope, by: request)
        }
        return keyed(
            Envelope(payload: request.body, contentType: request.headers["Content-Type"], headers: headers(request) { _ in true }),
            by: request)
    }

    /// The fields of a request that become headers of the event.
    private static func headers(_ request: HTTPRequest, _ isMeant: (String) -> Bool) -> [String: HeaderValue] {
        var headers: [String: HeaderValue] = [:]
        for (name, value) in request.headers.fields {
            let lower = name.lowercased()
            let counts = lower.hasPrefix("carillon-") && lower != "carillon-key" || lower.hasPrefix("ce-") || lower == "traceparent"
            if counts || lower == "tracestate", isMeant(lower) { headers[lower] = .string(value) }
        }
        return headers
    }

    private static func keyed(_ envelope: Envelope, by request: HTTPRequest) -> Envelope {
        var envelope = envelope
        envelope.key = request.headers["carillon-key"] ?? envelope.key
        return envelope
    }

    /// The media type of the body in lower case, without parameters.
    static func mediaType(_ request: HTTPRequest) -> String? {
        request.headers["Content-Type"].map { $0.prefix { $0 != ";" }.trimming().lowercased() }
    }
}
