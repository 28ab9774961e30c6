internal import HTTP
internal import Streams

extension Channels {
    private static func member(_ request: HTTPRequest) throws -> String {
        let member = request.parameter("member") ?? ""
        guard member.utf8.count <= 200 else { throw ChannelError(400, "invalid", "member= is longer than 200 bytes") }
        return member
    }

    func pull(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        let most = try Self.number(request, "max", 1...settings.pull) ?? 1
        let wait = try Self.duration(request, "wait", atMost: settings.longestWait) ?? .zero
        let lease = try Self.duration(request, "lease", atMost: settings.longestLease) ?? settings.lease
        guard lease > .zero else { throw ChannelError(400, "invalid", "lease= must be longer than nothing") }
        let key = Desk.Key(destination: destination, group: group, member: try Self.member(request))
        while !Task.isCancelled {
            switch await (try desks.desk(key, most: most)).pull(most: most, wait: wait, lease: lease) {
            case .closed: continue
            case .failed(let error): throw error
            case .deliveries(let leased):
                return Self.answer(leased, to: request, from: destination)
            }
        }
        return Self.answer([], to: request, from: destination)
    }

    /// In the form that the client accepts: envelopes, the same with each `event` as a CloudEvent, or a batch of CloudEvents whose extensions
    /// `carillontoken` and `carillonattempt` say what is needed to settle them.
    private static func answer(_ leased: [Desk.Leased], to request: HTTPRequest, from destination: Destination) -> HTTPResponse {
        let accepted = request.headers["Accept"]?.lowercased() ?? ""
        if accepted.contains(CloudEvent.batchType) {
            let events = leased.map { one in
                CloudEvent(one.received.envelope, from: destination).structured([
                    .init("carillontoken", .string(one.token)), .init("carillonattempt", .integer(Int64(one.received.attempt))),
                ])
            }
            return HTTPResponse(
                200, bytes: [91] + Array(events.joined(separator: [44])) + [93, 10], type: CloudEvent.batchType,
                headers: ["Cache-Control": "no-store"])
        }
        guard accepted.contains(CloudEvent.structuredType) else {
            return .json(
                200, .object([.init("deliveries", .array(leased.map { .object(members($0) + $0.received.envelope.wireMembers) }))]))
        }
        let deliveries = leased.map { one -> [UInt8] in
            WireValue.object(members(one)).bytes.dropLast() + Array(#","event":"#.utf8)
                + CloudEvent(one.received.envelope, from: destination).structured() + [125]
        }
        return HTTPResponse(
            200, bytes: Array(#"{"deliveries":["#.utf8) + Array(deliveries.joined(separator: [44])) + [93, 125, 10],
            type: "application/json",
            headers: ["Cache-Control": "no-store"])
    }

    private static func members(_ leased: Desk.Leased) -> [WireValue.Member] {
        let received = leased.received
        var members: [WireValue.Member] = [.init("token", .string(leased.token)), .init("attempt", .integer(Int64(received.attempt)))]
        if let position = received.position { members.append(.init("position", .string(position))) }
        return members
    }

    func leave(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        let left = desks.leave(Desk.Key(destination: destination, group: group, member: try Self.member(request)))
        guard left else { throw ChannelError(404, "unknown", "no such member of \(group) has pulled from \(destination) lately") }
        return HTTPResponse(204)
    }

    /// What one token is to become.
    private enum Order: Sendable {
        case settle(DeliveryOutcome)
        case release
        case extend(Duration)

        var word: String {
            switch self {
            case .settle(.accept): "accepted"
            case .settle(.retry): "retried"
            case .settle(.reject): "rejected"
            case .release: "released"
            case .extend: "extended"
            }
        }
    }

    /// `{"accept": [token], "retry": [{token, after}], "reject": [{token, reason}], "extend": [{token, lease}], "release": [token]}`, any of them;
    /// where nothing but the token is to be said, the token alone will do everywhere. Answers `{"results": [{token, result}]}` in the same order;
    /// a result is `accepted`, `retried`, `rejected`, `extended`, `released`, `unknown` or `failed`, the last two with a `message`.
    func settle(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        let orders = try orders(try Self.object(request))
        guard orders.count <= 10_000 else {
            throw ChannelError(413, "tooLarge", "at most 10,000 tokens are settled at once; there are \(orders.count)")
        }
        // Side by side: a durable broker confirms all of them in one commit.
        let results = await withTaskGroup(of: (Int, WireValue).self) { tasks in
            for (index, (token, order)) in orders.enumerated() {
                tasks.addTask { [self] in (index, await result(of: order, token, destination, group)) }
            }
            var results = [WireValue](repeating: .null, count: orders.count)
            for await (index, result) in tasks { results[index] = result }
            return results
        }
        return .json(200, .object([.init("results", .array(results))]))
    }

    private func result(of order: Order, _ token: String, _ destination: Destination, _ group: ConsumerGroup) async -> WireValue {
        func answer(_ result: String, _ message: String? = nil) -> WireValue {
            .object(
                [.init("token", .string(token)), .init("result", .string(result))] + (message.map { [.init("message", .string($0))] } ?? [])
            )
        }
        let unknown = answer(
            "unknown", "nothing is leased under this token: its lease has run out, or it was settled before; the event may come again")
        guard let desk = desks.desk(of: token, destination, group) else { return unknown }
        if case .extend(let lease) = order { return desk.extend(token, to: lease) ? answer(order.word) : unknown }
        guard let settlement = desk.take(token) else { return unknown }
        switch order {
        case .settle(let outcome):
            do throws(BinderError) { try await settlement.settle(outcome) } catch {
                return error.code == .closed ? unknown : answer("failed", error.message)
            }
        case .release: settlement.release()
        case .extend: break
        }
        return answer(order.word)
    }

    private func orders(_ body: WireValue) throws -> [(token: String, order: Order)] {
        var orders: [(token: String, order: Order)] = []
        for member in body.members ?? [] {
            guard let entries = member.value.array else {
                throw ChannelError(400, "invalid", "\"\(member.name.prefix(40))\" must be a list")
            }
            for entry in entries {
                guard let token = entry.string ?? entry["token"]?.string else {
                    throw ChannelError(400, "invalid", "an entry of \"\(member.name.prefix(40))\" names no token")
                }
                orders.append((token, try order(member.name, entry)))
            }
        }
        return orders
    }

    private func order(_ name: String, _ entry: WireValue) throws -> Order {
        switch name {
        case "accept": return .settle(.accept)
        case "release": return .release
        case "retry": return .settle(.retry(after: try Self.duration(entry["after"], "after") ?? .zero))
        case "extend":
            let lease = try Self.duration(entry["lease"], "lease") ?? settings.lease
            guard lease > .zero, lease <= settings.longestLease else {
                throw ChannelError(400, "invalid", "\"lease\" must be longer than nothing and at most \(settings.longestLease)")
            }
            return .extend(lease)
        case "reject":
            guard let reason = entry["reason"] else { return .settle(.reject(FailureReason(message: "rejected"))) }
            guard let message = reason.string ?? reason["message"]?.string else {
                throw ChannelError(400, "invalid", "\"reason\" must be text")
            }
            return .settle(.reject(FailureReason(message: message, kind: reason["kind"]?.string ?? "error")))
        default:
            throw ChannelError(400, "invalid", "\"\(name.prefix(40))\" is none of accept, retry, reject, extend, release")
        }
    }

    /// A number of seconds, or text as in queries.
    private static func duration(_ value: WireValue?, _ name: String) throws -> Duration? {
        let text: String
        switch value {
        case nil: return nil
        case .integer(let number): text = String(number)
        case .double(let number): text = String(number)
        case .string(let given): text = given
        default: text = ""
        }
        guard let duration = ChannelDuration.read(text) else {
            throw ChannelError(400, "invalid", "\"\(name)\" must be seconds, or text like 500ms, 30s, 5m")
        }
        return duration
    }
}
