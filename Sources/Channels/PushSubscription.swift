internal import HTTPClient
package import Streams

/// A group whose events this server sends to a URL.
package struct PushSubscription: Sendable, Hashable {
    package struct Key: Sendable, Hashable {
        package let destination: Destination
        package let group: ConsumerGroup
    }
    /// How an event stands in the request.
    package enum Format: String, Sendable, Hashable {
        /// Attributes as `ce-…` fields, the payload as the body.
        case binary
        /// One JSON object, `application/cloudevents+json`.
        case structured
    }

    package let key: Key
    package var url: String
    /// What requests are signed with; nil: as the server's settings say.
    package var secret: String?
    package var format = Format.binary
    /// Requests under way at a time; events of one key stay in order.
    package var concurrency = 4
    /// How often an event is sent before it becomes a dead letter.
    package var attempts = 5
    /// How long one request may take.
    package var timeout = Duration.seconds(10)

    package init(_ destination: Destination, _ group: ConsumerGroup, url: String) {
        key = Key(destination: destination, group: group)
        self.url = url
    }

    /// `{"url", "secret", "format", "concurrency", "attempts", "timeout"}`, all but the URL optional. Names the member that is wrong.
    init(_ destination: Destination, _ group: ConsumerGroup, wire: WireValue, settings: PushSettings) throws {
        guard let members = wire.members else { throw ChannelError(400, "invalid", "the body must be a JSON object with a \"url\"") }
        func wrong(_ name: String, _ what: String) -> ChannelError { ChannelError(400, "invalid", "\"\(name.prefix(40))\" \(what)") }
        func number(_ value: WireValue, _ name: String, _ range: ClosedRange<Int>) throws -> Int {
            guard let number = value.integer.flatMap({ Int(exactly: $0) }), range.contains(number) else {
                throw wrong(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        guard let url = wire["url"]?.string else { throw wrong("url", "is missing: name the URL that events are sent to") }
        self.init(destination, group, url: url)
        for member in members where member.value != .null {
            switch member.name {
            case "url": break
            case "secret":
                guard let text = member.value.string, (1...512).contains(text.utf8.count) else {
                    throw wrong("secret", "must be text of 1 to 512 bytes")
                }
                secret = text
            case "format":
                guard let format = Format(rawValue: member.value.string ?? "") else {
                    throw wrong("format", "must be binary or structured")
                }
                self.format = format
            case "concurrency": concurrency = try number(member.value, "concurrency", 1...settings.concurrency)
            case "attempts": attempts = try number(member.value, "attempts", 1...100)
            case "timeout":
                let text = member.value.string ?? member.value.integer.map(String.init) ?? ""
                guard let duration = ChannelDuration.read(text), duration >= .milliseconds(1), duration <= settings.longestTimeout else {
                    throw wrong("timeout", "must be seconds, or text like 500ms or 30s, and at most \(settings.longestTimeout)")
                }
                timeout = duration
            default: throw wrong(member.name, "is none of url, secret, format, concurrency, attempts, timeout")
            }
        }
    }

    /// What is kept, the secret included.
    var kept: WireValue {
        let names: [WireValue.Member] = [
            .init("destination", .string(key.destination.name)), .init("group", .string(key.group.name)), .init("url", .string(url)),
        ]
        return .object(names + (secret.map { [.init("secret", .string($0))] } ?? []) + rest)
    }

    /// The URL for people: many a one holds a secret in its path, so that only its beginning is shown.
    var shownURL: String {
        let shown = HTTPClientRequest.shown(url)
        guard let host = shown.firstRange(of: "://")?.upperBound, let path = shown[host...].firstIndex(of: "/") else { return shown }
        return shown[shown.index(after: path)...].isEmpty ? shown : shown[...path] + "…"
    }

    /// What is shown: neither the secret nor what the URL may hold of one.
    var shown: [WireValue.Member] {
        [
            .init("destination", .string(key.destination.name)), .init("group", .string(key.group.name)), .init("url", .string(shownURL)),
        ] + rest
    }

    private var rest: [WireValue.Member] {
        let milliseconds = timeout.components.seconds * 1000 + timeout.components.attoseconds / 1_000_000_000_000_000
        return [
            .init("format", .string(format.rawValue)), .init("concurrency", .integer(Int64(concurrency))),
            .init("attempts", .integer(Int64(attempts))), .init("timeout", .string("\(milliseconds)ms")),
        ]
    }

    /// Reads what was kept, also where bounds were wider then.
    init(kept value: WireValue, settings: PushSettings) throws {
        let destination = try Destination(value["destination"]?.string ?? "")
        let group = try ConsumerGroup(value["group"]?.string ?? "")
        let members = (value.members ?? []).filter { !["destination", "group"].contains($0.name) }
        try self.init(
            destination, group, wire: .object(members), settings: PushSettings(concurrency: .max, longestTimeout: .seconds(1_000_000)))
        concurrency = min(concurrency, settings.concurrency)
        timeout = min(timeout, settings.longestTimeout)
    }
}
