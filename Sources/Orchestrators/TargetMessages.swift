internal import Autoscaler
internal import JSON

/// What programs and servers of our users are told and tell: the same JSON for `exec` and `webhook`.
enum TargetMessages {
    /// `{"do":"scale","policy":"orders","id":"orders/3/17","term":3,"seq":17,"count":5,"fence":null,"because":"…"}`
    static func scale(_ order: ScaleOrder) -> JSONValue {
        .object([
            JSONMember("do", .string("scale")), JSONMember("policy", .string(order.policy)), JSONMember("id", .string(order.id)),
            JSONMember("term", .number("\(order.term)")), JSONMember("seq", .number("\(order.seq)")),
            JSONMember("count", .number("\(order.count)")), JSONMember("fence", order.fence.map { .string($0) } ?? .null),
            JSONMember("because", .string(order.because)),
        ])
    }

    /// `{"do":"observe","policy":"orders"}`
    static func observe(_ policy: String) -> JSONValue {
        .object([JSONMember("do", .string("observe")), JSONMember("policy", .string(policy))])
    }

    /// Reads `{"desired":5,"ready":4,"starting":1}`, with `fence`, `owner`, `locked` and `pending` where there is something to say. Without
    /// `starting` those are starting that are not ready. What does not tell the count is an error and never zero.
    static func observation(_ bytes: [UInt8], of name: String) throws(TargetError) -> TargetObservation {
        let root: JSONValue
        do { root = try JSONReader.read(bytes) } catch {
            throw TargetError(
                .unavailable, "\(name): its answer to `observe` is no JSON (\(error)): it has to be {\"desired\":N,\"ready\":N}")
        }
        func count(_ member: String) throws(TargetError) -> Int? {
            guard let value = root[member], value != .null else { return nil }
            guard case .number(let text) = value, let number = Int(text), (0...1_000_000).contains(number) else {
                throw TargetError(.unavailable, "\(name): `\(member)` in its answer to `observe` has to be a whole number from 0")
            }
            return number
        }
        guard let desired = try count("desired"), let ready = try count("ready") else {
            throw TargetError(.unavailable, "\(name): its answer to `observe` has to have `desired` and `ready`")
        }
        func text(_ member: String) -> String? { root[member]?.string.flatMap { $0.isEmpty ? nil : shown($0) } }
        return TargetObservation(
            InstanceCount(desired: desired, ready: ready, starting: try count("starting") ?? max(0, desired - ready)),
            fence: root["fence"]?.scalarText, owner: text("owner"), locked: text("locked"), pending: text("pending"))
    }

    /// What an answer says for people: its `message` or `reason`, or the first line of the text; nil where it says nothing.
    static func reason(_ bytes: [UInt8]) -> String? {
        if let root = try? JSONReader.read(bytes) {
            return (root["message"]?.string ?? root["reason"]?.string).map(shown)
        }
        let line = String(decoding: bytes.prefix(4096), as: UTF8.self).split(whereSeparator: \.isNewline)
            .first { $0.contains { !$0.isWhitespace } }
        return line.map { shown(String($0)) }
    }

    /// The name of the change, where the answer has one.
    static func reference(_ bytes: [UInt8]) -> String? { (try? JSONReader.read(bytes))?["reference"]?.scalarText.map(shown) }

    /// One line of bounded length: it is passed on to logs and to people.
    static func shown(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.prefix(400).map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }
}
