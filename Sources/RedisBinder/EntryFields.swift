import Streams

/// How an event lies in a Redis stream: the wire format between Carillon's instances, and for everybody else who reads or writes the stream.
///
/// One entry an event, with these fields in any order; all values are binary safe, numbers are decimal text:
///
/// | field | holds |
/// |---|---|
/// | `payload` | the payload's bytes |
/// | `id` | the event's id; absent: the entry's own id |
/// | `type` | the content type; absent: none was named |
/// | `key` | the key; absent: none |
/// | `time` | when it was published, milliseconds since 1970; absent: the entry's own id says it |
/// | `to` | the only group that the event is for: a dead letter that was given back to it. Others pass over the entry |
/// | `h:NAME` | header NAME: text in UTF-8 |
/// | `i:NAME`, `d:NAME`, `t:NAME` | header NAME: an integer, a number with a fraction, a time in milliseconds since 1970 |
/// | `b:NAME` | header NAME: `true` or `false` |
/// | `x:NAME` | header NAME: bytes |
/// | `n:NAME` | header NAME: null; the value is empty |
/// | `j:NAME` | header NAME: an array or table as JSON, with bytes as `{"$bytes": base64}` and times as `{"$timestamp": number}` |
///
/// Any other field is a text header of that name (bytes where it is no UTF-8): `XADD carillon:{orders} * payload hello colour red` from
/// `redis-cli` is an event with one header. Dead letters hold the same fields, and those of `DeadField`.
enum EntryFields {
    /// Adds the fields to an `XADD`.
    static func write(_ envelope: Envelope, to command: inout RedisCommand) {
        command.add("id")
        command.add(envelope.id)
        if let type = envelope.contentType {
            command.add("type")
            command.add(type)
        }
        if let key = envelope.key {
            command.add("key")
            command.add(key)
        }
        if let time = envelope.timestamp {
            command.add("time")
            command.add(time)
        }
        for (name, value) in envelope.headers { write(name, value, to: &command) }
        command.add("payload")
        command.add(envelope.payload)
    }

    private static func write(_ name: String, _ value: HeaderValue, to command: inout RedisCommand) {
        switch value {
        case .string(let text):
            command.add("h:" + name)
            command.add(text)
        case .integer(let number):
            command.add("i:" + name)
            command.add(number)
        case .double(let number):
            command.add("d:" + name)
            command.add("\(number)")
        case .boolean(let flag):
            command.add("b:" + name)
            command.add("\(flag)")
        case .bytes(let bytes):
            command.add("x:" + name)
            command.add(bytes)
        case .timestamp(let time):
            command.add("t:" + name)
            command.add(time)
        case .null:
            command.add("n:" + name)
            command.add("")
        case .array, .table:
            command.add("j:" + name)
            command.add(value.wire.bytes)
        }
    }

    /// Reads `count` names and values of the entry at the cursor. `onField` sees the fields of dead letters and takes those that it knows.
    static func read(
        _ cursor: inout ReplyCursor, _ count: Int, id: StreamID, onField: (String, String) -> Bool = { _, _ in false }
    ) throws(RedisFailure) -> StreamEntry {
        var envelope = Envelope(id: "", payload: [])
        var target: String?
        for _ in 0..<(count / 2) {
            let name = try cursor.text()
            switch name {
            case "payload": envelope.payload = try cursor.bytes()
            case "id": envelope.id = try cursor.text()
            case "type": envelope.contentType = try cursor.text()
            case "key": envelope.key = try cursor.text()
            case "time": envelope.timestamp = Int64(try cursor.text())
            case "to": target = try cursor.text()
            default:
                let value = try cursor.bytes()
                if name.hasPrefix(DeadField.prefix), onField(name, String(decoding: value, as: UTF8.self)) { continue }
                add(name, value, to: &envelope)
            }
        }
        if count % 2 == 1 { try cursor.skip() }
        if envelope.id.isEmpty { envelope.id = id.description }
        if envelope.timestamp == nil { envelope.timestamp = Int64(clamping: id.milliseconds) }
        return StreamEntry(id: id, envelope: envelope, target: target)
    }

    private static func add(_ name: String, _ value: [UInt8], to envelope: inout Envelope) {
        let text = String(validating: value, as: UTF8.self)
        let bare = String(name.dropFirst(2))
        let header: HeaderValue? =
            switch name.prefix(2) {
            case "h:": text.map { .string($0) }
            case "i:": text.flatMap { Int64($0) }.map { .integer($0) }
            case "d:": text.flatMap { Double($0) }.map { .double($0) }
            case "t:": text.flatMap { Int64($0) }.map { .timestamp($0) }
            case "b:": text == "true" ? .boolean(true) : text == "false" ? .boolean(false) : nil
            case "x:": .bytes(value)
            case "n:": .null
            case "j:": (try? WireValue(value)).flatMap { try? HeaderValue(wire: $0) }
            default: nil
            }
        if let header {
            envelope.headers[bare] = header
        } else {
            // Written by somebody else: kept as it is.
            envelope.headers[name] = text.map { .string($0) } ?? .bytes(value)
        }
    }
}

/// What a dead letter's entry holds beside the fields of its event.
enum DeadField {
    static let prefix = "dead:"
    static let message = "dead:message"
    static let kind = "dead:kind"
    static let attempts = "dead:attempts"
    static let time = "dead:time"
}

/// One entry of a stream.
struct StreamEntry: Sendable {
    let id: StreamID
    let envelope: Envelope
    /// The only group that it is for; nil: everybody.
    let target: String?

    /// `[id, [name, value, …]]`; nil fields where the entry was deleted meanwhile.
    static func read(_ cursor: inout ReplyCursor) throws(RedisFailure) -> StreamEntry? {
        try cursor.array(of: 2)
        let id = try cursor.id()
        guard let count = try cursor.optionalArray() else { return nil }
        return try EntryFields.read(&cursor, count, id: id)
    }
}
