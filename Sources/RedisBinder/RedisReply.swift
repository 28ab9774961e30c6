/// One answer of the server: its parts in the order in which they came, an array's members behind the array. Ids, names and numbers are short
/// enough to need no memory of their own, and an answer that is no array needs none either.
struct RedisReply: Sendable {
    enum Part: Sendable {
        case array(Int)
        case text(String)
        case bytes([UInt8])
        case integer(Int64)
        case status(String)
        case error(String)
        case none
    }
    private(set) var head: Part?
    private var rest: [Part] = []

    mutating func append(_ part: Part) {
        if head == nil { head = part } else { rest.append(part) }
    }

    subscript(index: Int) -> Part? { index == 0 ? head : index <= rest.count ? rest[index - 1] : nil }

    /// The server's error, if the whole answer is one.
    var failure: RedisFailure? { if case .error(let text)? = head { RedisFailure(reply: text) } else { nil } }

    var isNone: Bool { if case RedisReply.Part.none? = head { true } else { false } }

    /// The whole answer as text; nil for arrays and for what is absent.
    var text: String? {
        var cursor = ReplyCursor(self)
        return try? cursor.text()
    }

    var integer: Int64? { if case .integer(let number)? = head { number } else { nil } }
}

/// Reads an answer from its front to its end; throws where it is not what the command answers with.
struct ReplyCursor {
    let reply: RedisReply
    private var index = 0

    init(_ reply: RedisReply) { self.reply = reply }

    var isAtEnd: Bool { reply[index] == nil }

    private mutating func part() throws(RedisFailure) -> RedisReply.Part {
        guard let part = reply[index] else { throw RedisFailure(.broken, "an answer that ends too early") }
        index += 1
        return part
    }

    /// How many members follow; nil for an absent array.
    mutating func optionalArray() throws(RedisFailure) -> Int? {
        switch try part() {
        case .array(let count): return count
        case .none: return nil
        case .error(let text): throw RedisFailure(reply: text)
        default: throw RedisFailure(.broken, "an answer that is no array where one belongs")
        }
    }

    mutating func array() throws(RedisFailure) -> Int {
        guard let count = try optionalArray() else { throw RedisFailure(.broken, "an answer without the array that belongs there") }
        return count
    }

    mutating func array(of count: Int) throws(RedisFailure) {
        guard try array() == count else { throw RedisFailure(.broken, "an array of another length than \(count)") }
    }

    mutating func optionalText() throws(RedisFailure) -> String? {
        switch try part() {
        case .text(let text), .status(let text): return text
        case .bytes(let bytes): return String(decoding: bytes, as: UTF8.self)
        case .integer(let number): return String(number)
        case .none: return nil
        case .error(let text): throw RedisFailure(reply: text)
        case .array: throw RedisFailure(.broken, "an array where text belongs")
        }
    }

    mutating func text() throws(RedisFailure) -> String {
        guard let text = try optionalText() else { throw RedisFailure(.broken, "nothing where text belongs") }
        return text
    }

    mutating func bytes() throws(RedisFailure) -> [UInt8] {
        switch try part() {
        case .text(let text), .status(let text): return Array(text.utf8)
        case .bytes(let bytes): return bytes
        default: throw RedisFailure(.broken, "something else where a string belongs")
        }
    }

    mutating func optionalInteger() throws(RedisFailure) -> Int64? {
        guard let text = try optionalText() else { return nil }
        guard let number = Int64(text) else { throw RedisFailure(.broken, "something else where a number belongs") }
        return number
    }

    mutating func integer() throws(RedisFailure) -> Int64 {
        guard let number = try optionalInteger() else { throw RedisFailure(.broken, "nothing where a number belongs") }
        return number
    }

    mutating func id() throws(RedisFailure) -> StreamID {
        let id: StreamID? =
            switch try part() {
            case .text(let text): StreamID(text.utf8)
            case .bytes(let bytes): StreamID(bytes)
            default: nil
            }
        guard let id else {
            throw RedisFailure(.broken, "something else where the id of an entry belongs")
        }
        return id
    }

    /// Passes over one whole value.
    mutating func skip() throws(RedisFailure) {
        var open = 1
        while open > 0 {
            open -= 1
            if case .array(let count) = try part() { open += count }
        }
    }

    /// A flat array of names and values, as `XINFO` answers with: hands each name to `body`, which reads its value.
    mutating func map(_ body: (inout ReplyCursor, String) throws(RedisFailure) -> Void) throws(RedisFailure) {
        for _ in 0..<(try array() / 2) {
            let name = try text()
            try body(&self, name)
        }
    }
}
