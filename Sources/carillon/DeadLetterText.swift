import Foundation
import Options
import Streams
import Telemetry

/// Dead letters as people and programs read them. Payloads only where a letter is shown whole.
struct DeadLetterText {
    let terminal: Terminal
    let isJSON: Bool

    private func print(json members: [WireValue.Member]) {
        terminal.print(String(decoding: WireValue.object(members).bytes, as: UTF8.self))
    }

    func show(_ groups: [DeadLetterGroup]) {
        guard !isJSON else {
            let values = groups.map { one in
                WireValue.object([
                    .init("destination", .string(one.destination.name)), .init("group", .string(one.group.name)),
                    .init("count", .integer(Int64(one.count))),
                ])
            }
            return print(json: [.init("groups", .array(values))])
        }
        guard !groups.isEmpty else { return terminal.print("no group has dead letters") }
        terminal.print(
            TextTable(["DESTINATION", "GROUP", "DEAD LETTERS"], groups.map { [$0.destination.name, $0.group.name, String($0.count)] }).text,
            end: "")
    }

    func show(_ page: DeadLetterPage, whole: Bool) {
        guard !isJSON else {
            var members = [WireValue.Member("deadLetters", .array(page.letters.map { Self.json($0, whole: whole) }))]
            if page.hasMore { members.append(.init("more", .boolean(true))) }
            return print(json: members)
        }
        guard !page.letters.isEmpty else { return terminal.print("no dead letters") }
        if whole {
            for (index, letter) in page.letters.enumerated() { terminal.print((index > 0 ? "\n" : "") + Self.detail(letter)) }
        } else {
            let rows = page.letters.map { letter in
                [
                    letter.id, Self.time(letter.time), String(letter.attempts), String(letter.envelope.payload.count),
                    Self.oneLine("\(letter.reason.kind): \(letter.reason.message)", 80),
                ]
            }
            terminal.print(TextTable(["ID", "GIVEN UP", "ATTEMPTS", "BYTES", "REASON"], rows).text, end: "")
        }
        if page.hasMore { terminal.complain("there are more: --limit N shows more at once; --header, --since, --until choose") }
    }

    func show(_ outcome: DeadLetterOutcome, _ action: DeadLetterAction, _ whose: String) {
        let word = action == .replay ? "replayed" : "dropped"
        guard !isJSON else {
            return print(
                json: [.init(word, .integer(Int64(outcome.count)))] + (outcome.hasMore ? [.init("more", .boolean(true))] : []))
        }
        terminal.print("\(word) \(outcome.count == 1 ? "1 dead letter" : "\(outcome.count) dead letters") of \(whose)")
        if outcome.hasMore { terminal.complain("there may be more that were meant: call it again") }
    }

    private static func json(_ letter: DeadLetter, whole: Bool) -> WireValue {
        .object([
            .init("id", .string(letter.id)), .init("attempts", .integer(Int64(letter.attempts))), .init("time", .string(time(letter.time))),
            .init("reason", .object([.init("message", .string(letter.reason.message)), .init("kind", .string(letter.reason.kind))])),
            .init(
                "envelope", .object(letter.envelope.wireMembers.filter { whole || !["payload", "encoding"].contains($0.name) })),
        ])
    }

    private static func detail(_ letter: DeadLetter) -> String {
        let envelope = letter.envelope
        let tries = letter.attempts == 1 ? "1 attempt" : "\(letter.attempts) attempts"
        var rows = [
            ("id", letter.id), ("event", envelope.id), ("given up", "\(time(letter.time)) after \(tries)"),
            ("reason", oneLine("\(letter.reason.kind): \(letter.reason.message)", 2000)),
        ]
        if let published = envelope.timestamp { rows.append(("published", time(published))) }
        if let key = envelope.key { rows.append(("key", oneLine(key, 2000))) }
        if let type = envelope.contentType { rows.append(("type", oneLine(type, 2000))) }
        for (name, value) in envelope.headers.sorted(by: { $0.key < $1.key }) {
            rows.append(
                ("header", "\(oneLine(name, 200))=\(oneLine(value.text ?? String(decoding: value.wire.bytes, as: UTF8.self), 2000))"))
        }
        var text = rows.map { $0 + ":" + String(repeating: " ", count: max(1, 10 - $0.count)) + $1 + "\n" }.joined()
        // What is no plain text could write anything to a terminal.
        if let payload = String(validating: envelope.payload, as: UTF8.self),
            !payload.unicodeScalars.contains(where: { $0.properties.generalCategory == .control && !"\n\r\t".unicodeScalars.contains($0) })
        {
            text += "payload:   \(envelope.payload.count) bytes of text\n" + payload
        } else {
            text += "payload:   \(envelope.payload.count) bytes in base64\n" + Data(envelope.payload).base64EncodedString()
        }
        return text
    }

    private static func time(_ milliseconds: Int64) -> String { Timestamp(milliseconds: milliseconds).text }

    /// Nothing that comes from an event moves the cursor of a terminal.
    private static func oneLine(_ text: String, _ limit: Int) -> String {
        let plain = text.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? " " : Character($0) }
        return plain.count > limit ? String(plain.prefix(limit - 1)) + "…" : String(plain)
    }
}
