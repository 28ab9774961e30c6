/// Which dead letters of a group are meant; one that asks for nothing means all of them.
package struct DeadLetterFilter: Sendable, Hashable {
    package struct Header: Sendable, Hashable {
        /// Compares without ASCII case: what came over HTTP has lost it.
        package var name: String
        /// The header's value as text.
        package var value: String
        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// All of these must be among the event's headers.
    package var headers: [Header]
    /// Given up at this time or later, milliseconds since 1970.
    package var since: Int64?
    /// Given up before this time.
    package var until: Int64?

    package init(headers: [Header] = [], since: Int64? = nil, until: Int64? = nil) {
        self.headers = headers
        self.since = since
        self.until = until
    }

    package var isEmpty: Bool { headers.isEmpty && since == nil && until == nil }

    package func matches(_ letter: DeadLetter) -> Bool {
        if let since, letter.time < since { return false }
        if let until, letter.time >= until { return false }
        return headers.allSatisfy { wanted in
            letter.envelope.headers.contains { $0.key.lowercased() == wanted.name.lowercased() && $0.value.text == wanted.value }
        }
    }
}

/// Dead letters, and whether there may be more of them.
package struct DeadLetterPage: Sendable, Hashable {
    package var letters: [DeadLetter]
    package var hasMore: Bool
    package init(letters: [DeadLetter], hasMore: Bool) {
        self.letters = letters
        self.hasMore = hasMore
    }
}

/// What can be done with dead letters.
package enum DeadLetterAction: String, Sendable, Hashable { case replay, drop }

/// How many dead letters something was done with, and whether there may be more that were meant.
package struct DeadLetterOutcome: Sendable, Hashable {
    package var count: Int
    package var hasMore: Bool
    package init(count: Int, hasMore: Bool) {
        self.count = count
        self.hasMore = hasMore
    }
}

/// How many dead letters a group has.
package struct DeadLetterGroup: Sendable, Hashable {
    package var destination: Destination
    package var group: ConsumerGroup
    package var count: Int
    package init(destination: Destination, group: ConsumerGroup, count: Int) {
        self.destination = destination
        self.group = group
        self.count = count
    }
}

extension DeadLetterKeeping {
    /// How many dead letters a filter looks at; those behind it are found when the ones before are gone.
    private var scanned: Int { 10_000 }

    package func deadLetters(
        of destination: Destination, group: ConsumerGroup, matching filter: DeadLetterFilter, limit: Int
    ) async throws(BinderError) -> DeadLetterPage {
        let looked = filter.isEmpty ? min(limit, scanned) : scanned
        let all = try await deadLetters(of: destination, group: group, limit: looked + 1)
        let meant = all.prefix(looked).filter(filter.matches)
        return DeadLetterPage(letters: Array(meant.prefix(limit)), hasMore: all.count > looked || meant.count > limit)
    }

    package func deadLetter(_ id: String, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> DeadLetter? {
        try await deadLetters(of: destination, group: group, limit: scanned).first { $0.id == id }
    }

    package func act(
        _ action: DeadLetterAction, matching filter: DeadLetterFilter, of destination: Destination, group: ConsumerGroup
    ) async throws(BinderError) -> DeadLetterOutcome {
        guard !filter.isEmpty else {
            return DeadLetterOutcome(count: try await act(action, nil, of: destination, group: group), hasMore: false)
        }
        let page = try await deadLetters(of: destination, group: group, matching: filter, limit: scanned)
        guard !page.letters.isEmpty else { return DeadLetterOutcome(count: 0, hasMore: page.hasMore) }
        return DeadLetterOutcome(
            count: try await act(action, page.letters.map(\.id), of: destination, group: group), hasMore: page.hasMore)
    }

    /// Replays or drops by id; nil: all.
    package func act(
        _ action: DeadLetterAction, _ ids: [String]?, of destination: Destination, group: ConsumerGroup
    ) async throws(BinderError) -> Int {
        switch action {
        case .replay: try await replay(ids, of: destination, group: group)
        case .drop: try await drop(ids, of: destination, group: group)
        }
    }
}
