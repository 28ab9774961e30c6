internal import HTTP
internal import Lifecycle
internal import Streams
internal import Telemetry

extension Channels {
    /// An answer takes no more dead letters once it has this many bytes of payloads.
    private static let answerBytes = 16 << 20

    private func keeper() throws -> any DeadLetterKeeping {
        guard let keeper = binder as? any DeadLetterKeeping else {
            throw ChannelError(501, "unsupported", "\(binder.name) cannot show its dead letters; look at the broker")
        }
        return keeper
    }

    /// `{"deadLetters": [{"id", "attempts", "time", "reason": {"message", "kind"}, "envelope"}]}`, oldest first, and `"more": true` where
    /// there may be more. `?header=name:value` (repeatable), `since=` and `until=` choose; `id=` asks for one.
    func deadLetters(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        let keeper = try keeper()
        let limit = try Self.number(request, "limit", 1...10_000) ?? 100
        let filter = try Self.filter(request)
        var page: DeadLetterPage
        do throws(BinderError) {
            if let id = request.parameter("id") {
                guard let letter = try await keeper.deadLetter(id, of: destination, group: group) else {
                    throw BinderError(.invalid, "\(group) of \(destination) has no dead letter \(id.prefix(100))")
                }
                page = DeadLetterPage(letters: [letter], hasMore: false)
            } else {
                page = try await keeper.deadLetters(of: destination, group: group, matching: filter, limit: limit)
            }
        } catch { throw ChannelError(unknown: error) }
        var bytes = 0
        var values: [WireValue] = []
        for letter in page.letters {
            guard values.isEmpty || bytes + letter.envelope.payload.count <= Self.answerBytes else {
                page.hasMore = true
                break
            }
            bytes += letter.envelope.payload.count
            values.append(Self.wire(letter))
        }
        var members = [WireValue.Member("deadLetters", .array(values))]
        if page.hasMore { members.append(.init("more", .boolean(true))) }
        return .json(200, .object(members))
    }

    private static func wire(_ letter: DeadLetter) -> WireValue {
        .object([
            .init("id", .string(letter.id)), .init("attempts", .integer(Int64(letter.attempts))), .init("time", .integer(letter.time)),
            .init("reason", .object([.init("message", .string(letter.reason.message)), .init("kind", .string(letter.reason.kind))])),
            .init("envelope", .object(letter.envelope.wireMembers)),
        ])
    }

    /// `{"ids": […]}`, `{"filter": {"headers": {name: value}, "since", "until"}}` or `{"all": true}`: nothing is never taken for everything.
    /// Answers `{"replayed": count}` or `{"dropped": count}`, with `"more": true` where there may be more that the filter means.
    func act(
        _ action: DeadLetterAction, _ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup
    ) async throws -> HTTPResponse {
        let keeper = try keeper()
        let body = try Self.object(request)
        let outcome: DeadLetterOutcome
        if let filter = body["filter"] {
            outcome = try await keeper.act(action, matching: try Self.filter(filter), of: destination, group: group)
        } else {
            let count = try await keeper.act(action, try Self.ids(body), of: destination, group: group)
            outcome = DeadLetterOutcome(count: count, hasMore: false)
        }
        var members = [WireValue.Member(action == .replay ? "replayed" : "dropped", .integer(Int64(outcome.count)))]
        if outcome.hasMore { members.append(.init("more", .boolean(true))) }
        return .json(200, .object(members))
    }

    private static func ids(_ body: WireValue) throws -> [String]? {
        if body["all"] == .boolean(true) { return nil }
        guard let ids = body["ids"]?.array else {
            throw ChannelError(400, "invalid", "say which: {\"ids\": [\"…\"]}, {\"filter\": {…}}, or {\"all\": true}")
        }
        return try ids.map { id in
            guard let id = id.string else { throw ChannelError(400, "invalid", "\"ids\" must be texts") }
            return id
        }
    }

    // MARK: Filters

    private static func filter(_ request: HTTPRequest) throws -> DeadLetterFilter {
        var filter = DeadLetterFilter()
        for (name, value) in request.parameters where name == "header" {
            guard let colon = value.firstIndex(of: ":"), colon != value.startIndex else {
                throw ChannelError(400, "invalid", "header=\(value.prefix(40)) must be a name and a value, as in header=tenant:blue")
            }
            filter.headers.append(.init(name: String(value[..<colon]), value: value[value.index(after: colon)...].trimming()))
        }
        filter.since = try time(request.parameter("since"), "since=")
        filter.until = try time(request.parameter("until"), "until=")
        return filter
    }

    private static func filter(_ value: WireValue) throws -> DeadLetterFilter {
        guard let members = value.members else { throw ChannelError(400, "invalid", "\"filter\" must be an object") }
        var filter = DeadLetterFilter()
        for member in members {
            switch member.name {
            case "headers":
                guard let headers = member.value.members else {
                    throw ChannelError(400, "invalid", "\"headers\" of a filter must be an object of names and values")
                }
                filter.headers = try headers.map { header in
                    guard let text = (try? HeaderValue(wire: header.value))?.text else {
                        throw ChannelError(400, "invalid", "the header \"\(header.name.prefix(40))\" of a filter must have a plain value")
                    }
                    return DeadLetterFilter.Header(name: header.name, value: text)
                }
            case "since": filter.since = try time(member.value, "\"since\"")
            case "until": filter.until = try time(member.value, "\"until\"")
            default: throw ChannelError(400, "invalid", "\"\(member.name.prefix(40))\" of a filter is none of headers, since, until")
            }
        }
        guard !filter.isEmpty else { throw ChannelError(400, "invalid", "a filter that means everything is {\"all\": true}") }
        return filter
    }

    private static func time(_ value: WireValue, _ name: String) throws -> Int64? {
        if let milliseconds = value.integer { return milliseconds }
        return try time(value.string ?? "", name)
    }

    /// RFC 3339, milliseconds since 1970, or how long ago: `2h`.
    private static func time(_ text: String?, _ name: String) throws -> Int64? {
        guard let text else { return nil }
        if text.utf8.count >= 12, let milliseconds = Int64(text) { return milliseconds }
        if let milliseconds = TimeText.read(text) { return milliseconds }
        guard let ago = ChannelDuration.read(text) else {
            throw ChannelError(
                400, "invalid", "\(name) must be a time such as 2026-01-31T12:00:00Z, milliseconds since 1970, or how long ago, such as 2h")
        }
        return Timestamp.now.milliseconds - ago.components.seconds * 1000 - ago.components.attoseconds / 1_000_000_000_000_000
    }
}
