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
/// | `PUT`, `GET`, `DELETE …/groups/{group}/push` | sends the group's events to a URL |
/// | `GET /channels` | groups with dead letters, and push subscriptions |
/// | `GET /channels?backlog={destination}/{group}&…` | `{"backlogs": […]}` of these groups |
/// | `GET /channels/{destination}/position` | `{"position"}` of the newest event |
///
/// It is a service: the subscriptions of groups that are pulled or pushed live within `run`. Authentication is not done here; `change(by:)` tells what a
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
    let pushers: Pushers
    let streams: OpenStreams

    package init(binder: any Binder, settings: ChannelSettings = ChannelSettings(), log: Log = .silent, metrics: Metrics? = nil) {
        self.binder = binder
        self.settings = settings
        self.log = log
        streams = OpenStreams(bound: settings.streams, ofOne: settings.streamsPerDestination)
        desks = Desks(binder: binder, settings: settings, log: log)
        pushers = Pushers(binder: binder, settings: settings.push, log: log, metrics: metrics)
        if let metrics {
            metrics.read { [weak self] metrics in
                guard let self else { return }
                metrics.gauge(
                    "carillon_channels_streams", [:], Double(streams.count), help: "Event streams that are open.")
                metrics.gauge("carillon_channels_members", [:], Double(desks.count), help: "Groups and members that pull over HTTP.")
                metrics.gauge("carillon_channels_pushes", [:], Double(pushers.all.count), help: "Push subscriptions that are set up.")
                metrics.gauge("carillon_channels_leases", [:], Double(desks.leases), help: "Deliveries leased over HTTP.")
            }
        }
    }

    /// What the request would change, for the middleware that asks for a token; nil for what only reads, and for what is not a channel.
    package static func change(by request: HTTPRequest) -> Change? {
        guard request.path.first == "channels", !["GET", "HEAD", "OPTIONS"].contains(request.method) else { return nil }
        return request.path.count <= 2 ? .publish : .take
    }

    /// Keeps the subscriptions of pulled and pushed groups until shutdown; then all pulls are answered, what is leased goes back to its group,
    /// and requests under way to subscribers end.
    package func run(_ life: ServiceLife) async throws {
        await withTaskGroup(of: Void.self) { tasks in
            let desksStarted = ShutdownSignal()
            tasks.addTask { [self] in
                await desks.run(ServiceLife(shutdown: life.shutdown, onStarted: { desksStarted.request() }))
            }
            await desksStarted.wait()
            tasks.addTask { [self] in await pushers.run(life) }
        }
    }

    package var router: Router {
        var router = Router()
        let group = "/channels/{destination}/groups/{group}"
        router.add("GET", "/channels") { [self] request, _ in
            do { return try await request.parameter("backlog") == nil ? index() : backlogs(request) } catch {
                return ChannelError.of(error).response
            }
        }
        add(to: &router, "POST", "/channels/{destination}") { try await $0.publish($1, to: $2) }
        add(to: &router, "GET", "/channels/{destination}", endsWithClient: true) { try await $0.stream($1, of: $2) }
        add(to: &router, "GET", "/channels/{destination}/position") { channels, _, destination in try await channels.position(destination) }
        addGroup(to: &router, "PUT", group) { try await $0.prepare($1, $2, $3) }
        addGroup(to: &router, "GET", group) { try await $0.backlog($1, $2, $3) }
        addGroup(to: &router, "POST", group + "/pull", endsWithClient: true) { try await $0.pull($1, $2, $3) }
        addGroup(to: &router, "POST", group + "/settle") { try await $0.settle($1, $2, $3) }
        addGroup(to: &router, "POST", group + "/leave") { try await $0.leave($1, $2, $3) }
        addGroup(to: &router, "GET", group + "/dead-letters") { try await $0.deadLetters($1, $2, $3) }
        addGroup(to: &router, "POST", group + "/dead-letters/replay") { try await $0.act(.replay, $1, $2, $3) }
        addGroup(to: &router, "POST", group + "/dead-letters/drop") { try await $0.act(.drop, $1, $2, $3) }
        addGroup(to: &router, "PUT", group + "/push") { try await $0.putPush($1, $2, $3) }
        addGroup(to: &router, "GET", group + "/push") { channels, _, destination, group in try channels.push(destination, group) }
        addGroup(to: &router, "DELETE", group + "/push") { channels, _, destination, group in
            try await channels.deletePush(destination, group)
        }
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

    /// Throws `.timedOut` when the binder has not answered within `limit`.
    func limited<T: Sendable>(
        _ limit: Duration, _ body: @escaping @Sendable () async throws(BinderError) -> T
    ) async throws -> T {
        guard let answer = try await withTimeLimit(limit, body) else {
            throw BinderError(.timedOut, "the broker has not answered within \(limit); the event may or may not have arrived")
        }
        return answer
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

    /// `{"position"}` of the newest event; without it where the broker has none.
    private func position(_ destination: Destination) async throws -> HTTPResponse {
        guard let telling = binder as? any PositionTelling else {
            throw ChannelError(501, "unsupported", "the events of \(binder.name) have no positions")
        }
        let position = try await telling.latestPosition(of: destination)
        return .json(200, .object(position.map { [.init("position", .string($0))] } ?? []))
    }

    /// `{"push": […], "deadLetters": [{"destination", "group", "count"}]}`; dead letters only where the binder can tell.
    private func index() async throws -> HTTPResponse {
        var members = [WireValue.Member("push", .array(pushers.all.map(\.shown)))]
        if let listing = binder as? any DeadLetterListing {
            let groups = try await listing.groupsWithDeadLetters().map { one in
                WireValue.object([
                    .init("destination", .string(one.destination.name)), .init("group", .string(one.group.name)),
                    .init("count", .integer(Int64(one.count))),
                ])
            }
            members.append(.init("deadLetters", .array(groups)))
        }
        return .json(200, .object(members))
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
            if let time = TimeText.read(text) { return .time(time) }
            return .after(text)
        }
    }
}

extension StringProtocol {
    func trimming() -> String { String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed()) }
}
