internal import HTTPClient
package import Streams

extension HTTPBinder: DeadLetterKeeping, DeadLetterListing {
    package func deadLetters(of destination: Destination, group: ConsumerGroup, limit: Int) async throws(BinderError) -> [DeadLetter] {
        try await deadLetters(of: destination, group: group, matching: DeadLetterFilter(), limit: limit).letters
    }

    package func deadLetters(
        of destination: Destination, group: ConsumerGroup, matching filter: DeadLetterFilter, limit: Int
    ) async throws(BinderError) -> DeadLetterPage {
        var query = [("limit", String(min(max(1, limit), 10_000)))]
        query += filter.headers.map { ("header", "\($0.name):\($0.value)") }
        if let since = filter.since { query.append(("since", Self.text(since))) }
        if let until = filter.until { query.append(("until", Self.text(until))) }
        return try await page(destination, group, query)
    }

    package func deadLetter(_ id: String, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> DeadLetter? {
        do throws(BinderError) {
            return try await page(destination, group, [("id", id)]).letters.first
        } catch {
            // There is no such letter, or no such group.
            guard error.code == .invalid else { throw error }
            return nil
        }
    }

    private func page(
        _ destination: Destination, _ group: ConsumerGroup, _ query: [(String, String)]
    ) async throws(BinderError) -> DeadLetterPage {
        let answer = try await channel.send(channel.request("GET", destination, group, "dead-letters", query: query))
        guard let values = answer?["deadLetters"]?.array else { throw noAnswer }
        var letters: [DeadLetter] = []
        for value in values {
            guard let id = value["id"]?.string, let envelope = value["envelope"] else { throw noAnswer }
            letters.append(
                DeadLetter(
                    id: id, envelope: try Envelope(wire: envelope),
                    reason: FailureReason(
                        message: value["reason"]?["message"]?.string ?? "", kind: value["reason"]?["kind"]?.string ?? "error"),
                    attempts: Int(value["attempts"]?.integer ?? 0), time: value["time"]?.integer ?? 0))
        }
        return DeadLetterPage(letters: letters, hasMore: answer?["more"] == .boolean(true))
    }

    package func replay(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        try await ask(.replay, Self.choice(ids), destination, group).count
    }

    package func drop(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        try await ask(.drop, Self.choice(ids), destination, group).count
    }

    package func act(
        _ action: DeadLetterAction, matching filter: DeadLetterFilter, of destination: Destination, group: ConsumerGroup
    ) async throws(BinderError) -> DeadLetterOutcome {
        guard !filter.isEmpty else { return try await ask(action, Self.choice(nil), destination, group) }
        var members: [WireValue.Member] = []
        if !filter.headers.isEmpty {
            members.append(.init("headers", .object(filter.headers.map { .init($0.name, .string($0.value)) })))
        }
        if let since = filter.since { members.append(.init("since", .integer(since))) }
        if let until = filter.until { members.append(.init("until", .integer(until))) }
        return try await ask(action, .init("filter", .object(members)), destination, group)
    }

    private static func choice(_ ids: [String]?) -> WireValue.Member {
        ids.map { .init("ids", .array($0.map(WireValue.string))) } ?? .init("all", .boolean(true))
    }

    private func ask(
        _ action: DeadLetterAction, _ choice: WireValue.Member, _ destination: Destination, _ group: ConsumerGroup
    ) async throws(BinderError) -> DeadLetterOutcome {
        let request = channel.request("POST", destination, group, "dead-letters/" + action.rawValue, body: .object([choice]))
        let answer = try await channel.send(request)
        guard let count = answer?[action == .replay ? "replayed" : "dropped"]?.integer else { throw noAnswer }
        return DeadLetterOutcome(count: Int(count), hasMore: answer?["more"] == .boolean(true))
    }

    package func groupsWithDeadLetters() async throws(BinderError) -> [DeadLetterGroup] {
        guard let values = try await channel.send(channel.request("GET", nil))?["deadLetters"]?.array else {
            throw BinderError(.unsupported, "the broker of \(channel.server) cannot tell which groups have dead letters; name one")
        }
        var groups: [DeadLetterGroup] = []
        for value in values {
            guard let destination = value["destination"]?.string, let group = value["group"]?.string, let count = value["count"]?.integer
            else { throw noAnswer }
            groups.append(
                DeadLetterGroup(destination: try Destination(destination), group: try ConsumerGroup(group), count: Int(count)))
        }
        return groups
    }

    /// At least twelve digits, by which the server knows a time.
    private static func text(_ time: Int64) -> String { StartPosition.time(time).query ?? "" }
}
