/// One event of a `text/event-stream`, or a comment, as a value.
package struct ServerSentEvent: Sendable, Hashable {
    package var id: String?
    package var event: String?
    package var data: String
    package var retry: Int?

    package init(id: String? = nil, event: String? = nil, data: String, retry: Int? = nil) {
        self.id = id
        self.event = event
        self.data = data
        self.retry = retry
    }

    /// The event as it goes on the wire, with the empty line that ends it. Line breaks within `data` become several `data:` lines; those within
    /// `id` or `event` are dropped, since they would end the field.
    package var bytes: [UInt8] {
        var text = ""
        func oneLine(_ value: String) -> String {
            String(value.unicodeScalars.filter { $0 != "\n" && $0 != "\r" && $0 != "\0" }.map(Character.init))
        }
        if let event { text += "event: \(oneLine(event))\n" }
        if let id { text += "id: \(oneLine(id))\n" }
        if let retry { text += "retry: \(retry)\n" }
        let unified = data.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
        for line in unified.split(separator: "\n", omittingEmptySubsequences: false) { text += "data: \(line)\n" }
        return Array((text + "\n").utf8)
    }

    /// A comment line, which keeps a connection alive and is ignored by clients.
    package static let keepAlive: [UInt8] = Array(":\n\n".utf8)
}

/// Takes the bytes of an event stream as they come and gives the events, by the rules of the HTML standard.
package struct ServerSentEventParser: Sendable {
    private var line: [UInt8] = []
    private var afterCarriageReturn = false
    private var started = false
    private var data: [String] = []
    private var event: String?
    private var retry: Int?
    /// The last id seen, which a client sends as `Last-Event-ID` when it connects again.
    package private(set) var lastID: String?
    /// A line longer than this many bytes is an error of the stream.
    package let lineLimit: Int

    package struct LineTooLong: Error {}

    package init(lineLimit: Int = 16 << 20) { self.lineLimit = lineLimit }

    package mutating func feed(_ bytes: some Sequence<UInt8>) throws(LineTooLong) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        for byte in bytes {
            if afterCarriageReturn {
                afterCarriageReturn = false
                if byte == 10 { continue }
            }
            if byte == 10 || byte == 13 {
                afterCarriageReturn = byte == 13
                if !started, line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
                started = true
                if let finished = end(of: String(decoding: line, as: UTF8.self)) { events.append(finished) }
                line.removeAll(keepingCapacity: true)
            } else {
                guard line.count < lineLimit else { throw LineTooLong() }
                line.append(byte)
            }
        }
        return events
    }

    private mutating func end(of text: String) -> ServerSentEvent? {
        if text.isEmpty {
            defer {
                data = []
                event = nil
                retry = nil
            }
            return data.isEmpty ? nil : ServerSentEvent(id: lastID, event: event, data: data.joined(separator: "\n"), retry: retry)
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var value = parts.count > 1 ? String(parts[1]) : ""
        if value.first == " " { value.removeFirst() }
        switch parts[0] {
        case "data": data.append(value)
        case "event": event = value
        case "id": if !value.contains("\0") { lastID = value }
        case "retry": retry = Int(value)
        default: break
        }
        return nil
    }
}
