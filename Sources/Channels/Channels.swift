package import HTTP
package import Lifecycle
package import Streams
package import Telemetry

/// Event channels over HTTP, on any binder.
///
/// | request | answer |
/// |---|---|
/// | `POST /channels/{destination}` | sends the body, or an envelope where its type is `Envelope.wireType`; `{"id", "position"}` after the confirm |
/// | `GET /channels/{destination}` | event stream; resume by `Last-Event-ID` or `?after=POSITION\|earliest\|TIME` |
/// | `PUT /channels/{destination}/groups/{group}` | creates the group; `?start=` as `after` above |
/// | `GET /channels/{destination}/groups/{group}` | its backlog |
/// | `POST …/groups/{group}/pull?max=&wait=&lease=&member=` | `{"deliveries": […]}`; a member's events of one key stay in order |
/// | `POST …/groups/{group}/settle` | `{"results": […]}`, one for each token |
/// | `POST …/groups/{group}/leave?member=` | the member's deliveries go back at once |
/// | `GET …/groups/{group}/dead-letters?limit=`, `POST …/dead-letters/replay`, `POST …/dead-letters/drop` | dead letters |
///
/// It is a service: the subscriptions of groups that are pulled live within `run`. Authentication is not done here; `change(by:)` tells what a
/// request would change.
package final class Channels: Service {
    /// What a request changes.
    package enum Change: Sendable, Hashable {
        case publish
        /// Takes deliveries from a group, settles them, or changes the group.
        case take
    }

    package let name = "channels"
    let binder: any Binder
    let settings: ChannelSettings
    let log: Log
    let desks: Desks
    let streams: OpenStreams

    package init(binder: any Binder, settings: ChannelSettings = ChannelSettings(), log: Log = .silent, metrics: Metrics? = nil) {
        self.binder = binder
        self.settings = settings
        self.log = log
        streams = OpenStreams(bound: settings.streams)
        desks = Desks(binder: binder, settings: settings, log: log)
        if let metrics {
            metrics.read { [weak self] metrics in
                guard let self else { return }
                metrics.gauge(
                    "carillon_channels_streams", [:], Double(streams.count), help: "Event streams that are open.")
                metrics.gauge("carillon_channels_members", [:], Double(desks.count), help: "Groups and members that pull over HTTP.")
                metrics.gauge("carillon_channels_leases", [:], Double(desks.leases), help: "Deliveries leased over HTTP.")
            }
        }
    }

    /// What the request would change, for the middleware that asks for a token; nil for what only reads, and for what is not a channel.
    package static func change(by request: HTTPRequest) -> Change? {
        guard request.path.first == "channels", !["GET", "HEAD", "OPTIONS"].contains(request.method) else { return nil }
        return request.path.count <= 2 ? .publish : .take
    }

    /// Keeps the subscriptions of pulled groups until shutdown; then all pulls are answered and what is leased goes back to its group.
    package func run(_ life: ServiceLife) async throws { await desks.run(life) }

    package var router: Router {
        var router = Router()
        let group = "/channels/{destination}/groups/{group}"
        add(to: &router, "POST", "/channels/{destination}") { try await $0.publish($1, to: $2) }
        add(to: &router, "GET", "/channels/{destination}", endsWithClient: true) { try await $0.stream($1, of: $2) }
        addGroup(to: &router, "PUT", group) { try await $0.prepare($1, $2, $3) }
        addGroup(to: &router, "GET", group) { try await $0.backlog($1, $2, $3) }
        addGroup(to: &router, "POST", group + "/pull", endsWithClient: true) { try await $0.pull($1, $2, $3) }
        addGroup(to: &router, "POST", group + "/settle") { try await $0.settle($1, $2, $3) }
        addGroup(to: &router, "POST", group + "/leave") { try await $0.leave($1, $2, $3) }
        addGroup(to: &router, "GET", group + "/dead-letters") { try await $0.deadLetters($1, $2, $3) }
        addGroup(to: &router, "POST", group + "/dead-letters/replay") { try await $0.replay($1, $2, $3) }
        addGroup(to: &router, "POST", group + "/dead-letters/drop") { try await $0.drop($1, $2, $3) }
        return router
    }

    private func add(
        to router: inout Router, _ method: String, _ pattern: String, endsWithClient: Bool = false,
        _ body: @escaping @Sendable (Channels, HTTPRequest, Destination) async throws -> HTTPResponse
    ) {
        router.add(method, pattern, endsWithClient: endsWithClient) { [self] request, values in
            do {
                return try await body(self, request, try Destination(values["destination"] ?? ""))
            } catch { return ChannelError.of(error).response }
        }
    }

    private func addGroup(
        to router: inout Router, _ method: String, _ pattern: String, endsWithClient: Bool = false,
        _ body: @escaping @Sendable (Channels, HTTPRequest, Destination, ConsumerGroup) async throws -> HTTPResponse
    ) {
        router.add(method, pattern, endsWithClient: endsWithClient) { [self] request, values in
            do {
                return try await body(self, request, try Destination(values["destination"] ?? ""), try ConsumerGroup(values["group"] ?? ""))
            } catch { return ChannelError.of(error).response }
        }
    }

    // MARK: Publishing

    private func publish(_ request: HTTPRequest, to destination: Destination) async throws -> HTTPResponse {
        guard request.body.count <= settings.bodyBytes else {
            throw ChannelError(
                413, "tooLarge", "the body has \(request.body.count) bytes; events of up to \(settings.bodyBytes) are taken here")
        }
        let envelope = try Self.envelope(of: request)
        let receipt = try await limited(settings.confirmLimit) { [binder] () async throws(BinderError) in
            try await binder.publish(envelope, to: destination)
        }
        var members = [WireValue.Member("id", .string(receipt.id))]
        if let position = receipt.position { members.append(.init("position", .string(position))) }
        return .json(200, .object(members))
    }

    static func envelope(of request: HTTPRequest) throws -> Envelope {
        let type = request.headers["Content-Type"]
        if let type, Self.isEnvelope(type) {
            do { return try Envelope(wire: try WireValue(request.body)) } catch let error as WireValue.Malformed {
                throw ChannelError(400, "invalid", "the body is said to be an envelope, but is \(error)")
            }
        }
        var headers: [String: HeaderValue] = [:]
        var key: String?
        for (name, value) in request.headers.fields {
            let lower = name.lowercased()
            if lower == "carillon-key" {
                key = value
            } else if lower.hasPrefix("carillon-") || lower.hasPrefix("ce-") || lower == "traceparent" || lower == "tracestate" {
                headers[lower] = .string(value)
            }
        }
        return Envelope(payload: request.body, contentType: type, headers: headers, key: key)
    }

    private static func isEnvelope(_ type: String) -> Bool {
        HTTPHeaders.same(type.split(separator: ";").first.map { $0.trimming() } ?? "", Envelope.wireType)
    }

    /// Throws `.timedOut` when the binder has not answered within `limit`.
    private func limited<T: Sendable>(
        _ limit: Duration, _ body: @escaping @Sendable () async throws(BinderError) -> T
    ) async throws -> T {
        try await withThrowingTaskGroup(of: T.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: limit)
                throw BinderError(.timedOut, "the broker has not answered within \(limit); the event may or may not have arrived")
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    // MARK: Groups

    private func prepare(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        let start = try Self.start(request.parameter("start"))
        if start == .latest {
            try await limited(settings.confirmLimit) { [binder] () async throws(BinderError) in
                try await binder.prepare(group: group, of: destination)
            }
        } else {
            // A subscription creates the group where it is asked to start; an existing one is left as it is.
            try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 1, start: start)) { _ in
            }
        }
        return HTTPResponse(204)
    }

    private func backlog(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        guard let reporting = binder as? any BacklogReporting else {
            throw ChannelError(501, "unsupported", "\(binder.name) does not tell the backlog of a group here")
        }
        let backlog: Backlog
        do { backlog = try await reporting.backlog(of: destination, group: group) } catch { throw ChannelError(unknown: error) }
        var members: [WireValue.Member] = [
            .init("ready", .integer(Int64(backlog.ready))), .init("inHand", .integer(Int64(backlog.inHand))),
            .init("delayed", .integer(Int64(backlog.delayed))),
        ]
        if let dead = backlog.dead { members.append(.init("dead", .integer(Int64(dead)))) }
        if let count = backlog.members { members.append(.init("members", .integer(Int64(count)))) }
        if let age = backlog.oldestAge {
            let seconds = Double(age.components.seconds) + Double(age.components.attoseconds / 1_000_000_000_000_000) / 1000
            members.append(.init("oldestAge", .double(seconds)))
        }
        return .json(200, .object(members))
    }

    // MARK: Dead letters

    private func keeper() throws -> any DeadLetterKeeping {
        guard let keeper = binder as? any DeadLetterKeeping else {
            throw ChannelError(501, "unsupported", "\(binder.name) does not show its dead letters here; look at the broker")
        }
        return keeper
    }

    private func deadLetters(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        let limit = try Self.number(request, "limit", 1...10_000) ?? 100
        let keeper = try keeper()
        let letters: [DeadLetter]
        do {
            letters = try await keeper.deadLetters(of: destination, group: group, limit: limit)
        } catch { throw ChannelError(unknown: error) }
        let values = letters.map { letter in
            WireValue.object([
                .init("id", .string(letter.id)), .init("attempts", .integer(Int64(letter.attempts))), .init("time", .integer(letter.time)),
                .init("reason", .object([.init("message", .string(letter.reason.message)), .init("kind", .string(letter.reason.kind))])),
                .init("envelope", .object(letter.envelope.wireMembers)),
            ])
        }
        return .json(200, .object([.init("deadLetters", .array(values))]))
    }

    private func replay(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        let count = try await keeper().replay(try Self.ids(request), of: destination, group: group)
        return .json(200, .object([.init("replayed", .integer(Int64(count)))]))
    }

    private func drop(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        let count = try await keeper().drop(try Self.ids(request), of: destination, group: group)
        return .json(200, .object([.init("dropped", .integer(Int64(count)))]))
    }

    /// `{"ids": […]}` or `{"all": true}`: nothing is never taken for everything.
    private static func ids(_ request: HTTPRequest) throws -> [String]? {
        let body = try object(request)
        if body["all"] == .boolean(true) { return nil }
        guard let ids = body["ids"]?.array else { throw ChannelError(400, "invalid", "say which: {\"ids\": [\"…\"]}, or {\"all\": true}") }
        return try ids.map { id in
            guard let id = id.string else { throw ChannelError(400, "invalid", "\"ids\" must be texts") }
            return id
        }
    }

    // MARK: Reading requests

    static func object(_ request: HTTPRequest) throws -> WireValue {
        do {
            let value = try WireValue(request.body)
            guard case .object = value else { throw ChannelError(400, "invalid", "the body must be a JSON object") }
            return value
        } catch let error as WireValue.Malformed { throw ChannelError(400, "invalid", "the body is \(error)") }
    }

    static func number(_ request: HTTPRequest, _ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let text = request.parameter(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw ChannelError(
                400, "invalid", "\(name)=\(text.prefix(40)) must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    static func duration(_ request: HTTPRequest, _ name: String, atMost longest: Duration) throws -> Duration? {
        guard let text = request.parameter(name) else { return nil }
        guard let duration = ChannelDuration.read(text), duration <= longest else {
            throw ChannelError(
                400, "invalid", "\(name)=\(text.prefix(40)) must be seconds, or a number with ms, s, m or h, and at most \(longest)")
        }
        return duration
    }

    /// `latest`, `earliest`, a time (RFC 3339, or milliseconds since 1970), or else a position.
    static func start(_ text: String?) throws -> StartPosition {
        switch text {
        case nil, "", "latest": return .latest
        case "earliest": return .earliest
        case let text?:
            if text.utf8.count >= 12, text.utf8.allSatisfy({ (48...57).contains($0) }), let time = Int64(text) { return .time(time) }
            if let time = ChannelTime.read(text) { return .time(time) }
            return .after(text)
        }
    }
}

extension StringProtocol {
    func trimming() -> String { String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed()) }
}
