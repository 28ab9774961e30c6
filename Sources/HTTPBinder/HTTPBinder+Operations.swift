internal import HTTPClient
package import Streams

extension HTTPBinder: BacklogReporting, DeadLetterKeeping {
    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        guard let answer = try await channel.send(channel.request("GET", destination, group)) else { throw noAnswer }
        func number(_ name: String) -> Int? { answer[name]?.integer.map { Int($0) } }
        guard let ready = number("ready"), let inHand = number("inHand"), let delayed = number("delayed") else { throw noAnswer }
        var age: Duration?
        switch answer["oldestAge"] {
        case .double(let seconds): age = .milliseconds(Int64(seconds * 1000))
        case .integer(let seconds): age = .seconds(seconds)
        default: break
        }
        return Backlog(ready: ready, inHand: inHand, delayed: delayed, dead: number("dead"), members: number("members"), oldestAge: age)
    }

    package func deadLetters(of destination: Destination, group: ConsumerGroup, limit: Int) async throws(BinderError) -> [DeadLetter] {
        let query = [("limit", String(min(max(1, limit), 10_000)))]
        guard
            let values = try await channel.send(channel.request("GET", destination, group, "dead-letters", query: query))?["deadLetters"]?
                .array
        else { throw noAnswer }
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
        return letters
    }

    package func replay(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        try await act("replay", "replayed", ids, destination, group)
    }

    package func drop(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        try await act("drop", "dropped", ids, destination, group)
    }

    private func act(
        _ verb: String, _ word: String, _ ids: [String]?, _ destination: Destination, _ group: ConsumerGroup
    ) async throws(BinderError) -> Int {
        let body = WireValue.object([ids.map { .init("ids", .array($0.map(WireValue.string))) } ?? .init("all", .boolean(true))])
        let answer = try await channel.send(channel.request("POST", destination, group, "dead-letters/" + verb, body: body))
        guard let count = answer?[word]?.integer else { throw noAnswer }
        return Int(count)
    }

    private var noAnswer: BinderError { BinderError(.broken, "\(channel.server) answered without what was asked for") }
}
