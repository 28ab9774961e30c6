import CHiredis

/// hiredis's parser, building `RedisReply` straight from its buffer. For one thread.
final class ReplyReader {
    private final class Builder {
        var reply = RedisReply()
    }
    /// Longer strings, payloads mostly, get memory of their own instead of a place in the arena.
    private static let arenaLimit = 64
    private let builder = Builder()
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    private let raw: UnsafeMutablePointer<redisReader>

    init() throws(RedisFailure) {
        functions = .allocate(capacity: 1)
        functions.initialize(
            to: redisReplyObjectFunctions(
                createString: { task, bytes, length in ReplyReader.add(task, string: bytes, length) },
                createArray: { task, count in ReplyReader.add(task, .array(Int(count))) },
                createInteger: { task, number in ReplyReader.add(task, .integer(number)) },
                createNil: { task in ReplyReader.add(task, .none) },
                freeObject: nil))
        guard let raw = redisReaderCreateWithFunctions(functions) else {
            functions.deallocate()
            throw RedisFailure(.connection, "no memory for a reader")
        }
        self.raw = raw
        raw.pointee.privdata = Unmanaged.passUnretained(builder).toOpaque()
        raw.pointee.maxbuf = 1 << 20
    }

    deinit {
        redisReaderFree(raw)
        functions.deallocate()
    }

    func feed(_ bytes: UnsafeRawBufferPointer) throws(RedisFailure) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        guard redisReaderFeed(raw, base.assumingMemoryBound(to: CChar.self), bytes.count) == REDIS_OK else { throw failure() }
    }

    /// The next whole answer; nil until more bytes have come.
    func next() throws(RedisFailure) -> RedisReply? {
        var done: UnsafeMutableRawPointer?
        guard redisReaderGetReply(raw, &done) == REDIS_OK else { throw failure() }
        guard done != nil else { return nil }
        let reply = builder.reply
        builder.reply = RedisReply()
        return reply
    }

    private func failure() -> RedisFailure {
        let text = withUnsafeBytes(of: raw.pointee.errstr) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return RedisFailure(.broken, "no RESP: \(text)")
    }

    /// The parser only asks that what is returned is not nil.
    private static func add(_ task: UnsafePointer<redisReadTask>?, _ part: RedisReply.Part) -> UnsafeMutableRawPointer? {
        guard let owner = task?.pointee.privdata else { return nil }
        Unmanaged<Builder>.fromOpaque(owner).takeUnretainedValue().reply.parts.append(part)
        return owner
    }

    private static func add(
        _ task: UnsafePointer<redisReadTask>?, string bytes: UnsafeMutablePointer<CChar>?, _ length: Int
    ) -> UnsafeMutableRawPointer? {
        guard let task, let owner = task.pointee.privdata else { return nil }
        let builder = Unmanaged<Builder>.fromOpaque(owner).takeUnretainedValue()
        let content = UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : length)
        if task.pointee.type == REDIS_REPLY_STRING, length > arenaLimit {
            builder.reply.parts.append(.bytes(Array(content)))
            return owner
        }
        let start = builder.reply.arena.count
        builder.reply.arena.append(contentsOf: content)
        let end = builder.reply.arena.count
        switch task.pointee.type {
        case REDIS_REPLY_ERROR: builder.reply.parts.append(.error(start: start, end: end))
        case REDIS_REPLY_STATUS: builder.reply.parts.append(.status(start: start, end: end))
        default: builder.reply.parts.append(.text(start: start, end: end))
        }
        return owner
    }
}
