import CHiredis

/// hiredis's parser, building `RedisReply` straight from its buffer. For one thread.
final class ReplyReader {
    private final class Builder {
        var reply = RedisReply()
    }
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
        Unmanaged<Builder>.fromOpaque(owner).takeUnretainedValue().reply.append(part)
        return owner
    }

    private static func add(
        _ task: UnsafePointer<redisReadTask>?, string bytes: UnsafeMutablePointer<CChar>?, _ length: Int
    ) -> UnsafeMutableRawPointer? {
        guard let task, let owner = task.pointee.privdata else { return nil }
        let builder = Unmanaged<Builder>.fromOpaque(owner).takeUnretainedValue()
        let content = UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : length)
        switch task.pointee.type {
        case REDIS_REPLY_ERROR: builder.reply.append(.error(String(decoding: content, as: UTF8.self)))
        case REDIS_REPLY_STATUS: builder.reply.append(.status(String(decoding: content, as: UTF8.self)))
        default:
            // A string of up to 15 ASCII characters lies in the value itself. Others may be anything: they stay bytes until somebody asks.
            if length <= 15, content.allSatisfy({ $0 < 128 }) {
                builder.reply.append(.text(String(decoding: content, as: UTF8.self)))
            } else {
                builder.reply.append(.bytes(Array(content)))
            }
        }
        return owner
    }
}
