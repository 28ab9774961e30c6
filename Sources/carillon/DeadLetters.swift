import Foundation
import Lifecycle
import Locking
import Options
import Streams
import Telemetry

/// `carillon dlq`: what a group has given up.
enum DeadLetters: Verb {
    static let command = Command(
        "dlq", summary: "Shows dead letters, gives them back to their group, or drops them.",
        explanation: """
            A dead letter is an event that a group has given up. ACTION is one of
              list     the oldest dead letters of --group, without payloads; without DESTINATION: which groups have any
              show     the same, whole: headers, reason, payload
              replay   gives them back to the group that gave them up, and to no other, with the headers that they were published with
              drop     forgets them
            --id, or any of --header, --since and --until together, or --all say which. Without --id, replay and drop ask first.
            """,
        arguments: [
            .init("ACTION", "list, show, replay or drop"), .init("DESTINATION", "where the events were published", isRequired: false),
        ],
        options: [
            .init("group", value: "NAME", "the group that gave them up"),
            .init("id", value: "ID", "this dead letter, as `list` names it", repeats: true),
            .init("header", value: "NAME=VALUE", "those with this header", repeats: true),
            .init("since", value: "TIME", "those given up since: 2h ago, or 2026-01-31T12:00:00Z"),
            .init("until", value: "TIME", "those given up before"),
            .init("all", "all of them"),
            .init("limit", value: "N", "list and show N at most; 100 unless given"),
            .init("yes", "do not ask"),
            .init("json", "for programs"),
        ] + Broker.options,
        examples: [
            "carillon dlq list", "carillon dlq list orders --group mail --since 2h",
            "carillon dlq show orders --group mail --id 7",
            "carillon dlq replay orders --group mail --header tenant=blue",
            "carillon dlq drop orders --group mail --all --yes --binder amqp://guest:guest@localhost:5672/",
        ])

    private enum Action: String { case list, show, replay, drop }

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        guard let action = Action(rawValue: invocation.arguments[0]) else {
            throw Failure("`dlq \(invocation.arguments[0])` is none of list, show, replay, drop", code: 2)
        }
        let choice = try DeadLetterChoice(invocation)
        let binder = try Broker.binder(invocation, log: Log(part: "dlq", minimum: .error))
        let text = DeadLetterText(terminal: terminal, isJSON: invocation.has("json"))
        guard invocation.arguments.count > 1 else {
            guard action == .list else { throw Failure("`dlq \(action)` needs a DESTINATION", code: 2) }
            guard let listing = binder as? any DeadLetterListing else {
                throw Failure("\(binder.name) cannot tell which groups have dead letters: name a DESTINATION and --group")
            }
            text.show(try await Errands.run(over: binder, invocation) { try await listing.groupsWithDeadLetters() })
            return 0
        }
        guard let name = invocation.value("group") else { throw Failure("`dlq \(action)` needs --group NAME", code: 2) }
        let (destination, group) = (try Destination(invocation.arguments[1]), try ConsumerGroup(name))
        guard let keeper = binder as? any DeadLetterKeeping else {
            throw Failure("\(binder.name) cannot show its dead letters; look at the broker itself")
        }
        let limit = try invocation.number("limit", in: 1...10_000) ?? 100
        if action == .replay || action == .drop {
            try choice.confirm(action.rawValue, "of group \(group) of \(destination)", invocation, terminal)
        } else if action == .show, choice.isNothing {
            throw Failure("`dlq show` needs --id, --header, --since, --until or --all", code: 2)
        }
        switch action {
        case .list, .show:
            let page = try await Errands.run(over: binder, invocation) {
                try await choice.letters(keeper, destination, group, limit: limit)
            }
            text.show(page, whole: action == .show)
            let missing = choice.ids.filter { id in !page.letters.contains { $0.id == id } }
            guard missing.isEmpty else {
                throw Failure("group \(group) of \(destination) has no dead letter \(missing.joined(separator: ", "))")
            }
            return 0
        case .replay, .drop:
            let act = action == .replay ? DeadLetterAction.replay : .drop
            let outcome = try await Errands.run(over: binder, invocation) { try await choice.act(act, keeper, destination, group) }
            text.show(outcome, act, "group \(group) of \(destination)")
            return outcome.count < choice.ids.count ? 1 : 0
        }
    }
}

/// Which dead letters the command line means.
struct DeadLetterChoice: Sendable {
    let ids: [String]
    let filter: DeadLetterFilter
    let isAll: Bool

    init(_ invocation: Invocation) throws {
        ids = invocation.all("id")
        isAll = invocation.has("all")
        var filter = DeadLetterFilter()
        for pair in invocation.all("header") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else { throw Failure("`--header \(pair)` is no NAME=VALUE", code: 2) }
            filter.headers.append(.init(name: String(parts[0]), value: String(parts[1])))
        }
        filter.since = try Self.time("since", invocation)
        filter.until = try Self.time("until", invocation)
        self.filter = filter
        guard [!ids.isEmpty, !filter.isEmpty, isAll].count(where: { $0 }) <= 1 else {
            throw Failure("--id, --all, and filters by --header, --since, --until exclude each other", code: 2)
        }
    }

    private static func time(_ option: String, _ invocation: Invocation) throws -> Int64? {
        guard let text = invocation.value(option) else { return nil }
        if let time = TimeText.read(text) { return time }
        guard let ago = DurationText.parse(text) else {
            throw Failure("`--\(option) \(text)` is neither a time such as 2026-01-31T12:00:00Z nor how long ago, such as 2h", code: 2)
        }
        return Timestamp.now.milliseconds - ago.components.seconds * 1000 - ago.components.attoseconds / 1_000_000_000_000_000
    }

    var isNothing: Bool { ids.isEmpty && filter.isEmpty && !isAll }

    /// Asks whoever sits before the terminal, unless ids or `--yes` were given. Throws where the answer is no, or nobody can be asked.
    func confirm(_ verb: String, _ whose: String, _ invocation: Invocation, _ terminal: Terminal) throws {
        if isNothing { throw Failure("`dlq \(verb)` needs --id, --header, --since, --until or --all", code: 2) }
        guard ids.isEmpty, !invocation.has("yes") else { return }
        guard isatty(STDIN_FILENO) == 1 else { throw Failure("`dlq \(verb)` without --id needs --yes where nobody can be asked", code: 2) }
        terminal.print("\(verb) \(isAll ? "all" : "the chosen") dead letters \(whose)? [y/N] ", end: "")
        guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else { throw Failure("nothing was done") }
    }

    func letters(
        _ keeper: any DeadLetterKeeping, _ destination: Destination, _ group: ConsumerGroup, limit: Int
    ) async throws(BinderError) -> DeadLetterPage {
        guard !ids.isEmpty else { return try await keeper.deadLetters(of: destination, group: group, matching: filter, limit: limit) }
        var letters: [DeadLetter] = []
        for id in ids { if let one = try await keeper.deadLetter(id, of: destination, group: group) { letters.append(one) } }
        return DeadLetterPage(letters: letters, hasMore: false)
    }

    func act(
        _ action: DeadLetterAction, _ keeper: any DeadLetterKeeping, _ destination: Destination, _ group: ConsumerGroup
    ) async throws(BinderError) -> DeadLetterOutcome {
        guard ids.isEmpty else {
            return DeadLetterOutcome(count: try await keeper.act(action, ids, of: destination, group: group), hasMore: false)
        }
        return try await keeper.act(action, matching: filter, of: destination, group: group)
    }
}
