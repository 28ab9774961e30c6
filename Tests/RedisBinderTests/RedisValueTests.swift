import Streams
import Testing

@testable import RedisBinder

@Suite struct RedisValueTests {
    @Test func `ids are ordered by time, then by number, and read what Redis writes`() {
        #expect(StreamID("1700000000000-3".utf8) == StreamID(1_700_000_000_000, 3))
        #expect(StreamID("5".utf8) == StreamID(5, 0))
        #expect(StreamID("18446744073709551615-18446744073709551615".utf8) == StreamID(.max, .max))
        for text in ["", "-", "1-", "-1", "1-2-3", "x", "18446744073709551616", "1-18446744073709551616", " 1"] {
            #expect(StreamID(text.utf8) == nil, "\(text)")
        }
        #expect(StreamID(2, 0) > StreamID(1, 9))
        #expect(StreamID(10, 0) > StreamID(9, 0))
        #expect(StreamID(5, 0).before == StreamID(4, .max))
        #expect(StreamID(5, 2).before == StreamID(5, 1))
        #expect(StreamID.zero.before == .zero)
    }

    @Test func `a command is written as RESP, whatever its arguments hold`() {
        var command = RedisCommand("XADD", "", "grüße")
        command.add([0, 13, 10, 255])
        command.add(-7)
        let expected =
            Array("*5\r\n$4\r\nXADD\r\n$0\r\n\r\n$7\r\ngrüße\r\n$4\r\n".utf8) + [0, 13, 10, 255] + Array("\r\n$2\r\n-7\r\n".utf8)
        #expect(command.encoded == expected)
    }

    @Test func `answers are read however they are cut`() throws {
        let long = String(repeating: "l", count: 200)
        let wire = Array("*5\r\n:7\r\n$2\r\nab\r\n$-1\r\n*2\r\n+OK\r\n*0\r\n$200\r\n\(long)\r\n-NOGROUP gone\r\n".utf8)
        for cut in 1..<wire.count {
            let reader = try ReplyReader()
            var replies: [RedisReply] = []
            for part in [wire[..<cut], wire[cut...]] {
                try part.withUnsafeBytes { try reader.feed($0) }
                while let reply = try reader.next() { replies.append(reply) }
            }
            try #require(replies.count == 2)
            var cursor = ReplyCursor(replies[0])
            try cursor.array(of: 5)
            #expect(try cursor.integer() == 7)
            #expect(try cursor.text() == "ab")
            #expect(try cursor.optionalText() == nil)
            try cursor.skip()
            #expect(try cursor.text() == long)
            #expect(cursor.isAtEnd)
            #expect(replies[1].failure?.isGone == true)
        }
    }

    @Test func `bytes at random never do more than end the connection`() throws {
        var generator = Seeded(state: 42)
        let alphabet = Array("*$+-:0123456789\r\nabc".utf8)
        for _ in 0..<3000 {
            let reader = try ReplyReader()
            let bytes = (0..<Int.random(in: 1...60, using: &generator)).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            do throws(RedisFailure) {
                try feed(bytes, to: reader)
                while let reply = try reader.next() {
                    var cursor = ReplyCursor(reply)
                    _ = try? StreamEntry.read(&cursor)
                    _ = try? StreamInfo(reply)
                }
            } catch { #expect(error.cause == .broken) }
        }
    }

    private func feed(_ bytes: [UInt8], to reader: ReplyReader) throws(RedisFailure) {
        let failure = bytes.withUnsafeBytes { bytes -> RedisFailure? in
            do throws(RedisFailure) { try reader.feed(bytes) } catch { return error }
            return nil
        }
        if let failure { throw failure }
    }

    private static func stream(_ length: Int64, added: Int64?, last: UInt64, first: UInt64?) -> StreamInfo {
        var info = StreamInfo()
        (info.length, info.added, info.last, info.first) = (length, added, StreamID(last, 0), first.map { StreamID($0, 0) })
        return info
    }

    @Test func `a start finds its place, and knows when what lies behind it is gone`() throws {
        let whole = Self.stream(10, added: 10, last: 100, first: 10)
        let trimmed = Self.stream(3, added: 10, last: 100, first: 80)
        #expect(try StreamPosition.start(.latest, in: trimmed) == (StreamPosition(last: StreamID(100, 0), count: 10), false))
        #expect(try StreamPosition.start(.earliest, in: trimmed) == (StreamPosition(last: .zero, count: 7), false))
        #expect(try StreamPosition.start(.after("50-0"), in: whole) == (StreamPosition(last: StreamID(50, 0), count: nil), false))
        #expect(try StreamPosition.start(.after("50-0"), in: trimmed).gap)
        #expect(try StreamPosition.start(.after("80-0"), in: trimmed).gap == false)
        #expect(try StreamPosition.start(.after("0-0"), in: whole).gap == false)
        let anew = try StreamPosition.start(.after("200-0"), in: whole)
        #expect(anew.gap && anew.position.last == .zero)
        #expect(try StreamPosition.start(.time(60), in: whole).position.last == StreamID(59, .max))
    }

    @Test func `what was missed while away is noticed, and nothing else`() {
        func missed(_ position: StreamPosition, _ info: StreamInfo) -> Bool {
            var position = position
            return position.check(info)
        }
        let read = StreamPosition(last: StreamID(50, 0), count: 5)
        #expect(!missed(read, Self.stream(5, added: 5, last: 50, first: 10)))
        #expect(!missed(read, Self.stream(10, added: 10, last: 100, first: 10)))
        // Trimmed up to what was read, and further.
        #expect(!missed(read, Self.stream(5, added: 10, last: 100, first: 60)))
        #expect(missed(read, Self.stream(3, added: 10, last: 100, first: 80)))
        // Made anew: with smaller ids, and with greater ones.
        #expect(missed(read, Self.stream(1, added: 1, last: 7, first: 7)))
        #expect(missed(read, Self.stream(1, added: 1, last: 90, first: 90)))
        #expect(missed(read, StreamInfo()))
        #expect(!missed(StreamPosition(last: .zero, count: 0), StreamInfo()))
        // Read past a hole.
        #expect(missed(StreamPosition(last: StreamID(100, 0), count: 8), Self.stream(3, added: 10, last: 100, first: 80)))
        // Before version 7 nobody counts: rather once too often.
        #expect(missed(StreamPosition(last: StreamID(50, 0), count: nil), Self.stream(3, added: nil, last: 100, first: 80)))
    }

    @Test func `errors of the server become the code that a caller can act upon`() {
        let table: [(String, BinderError.Code)] = [
            ("OOM command not allowed when used memory > 'maxmemory'.", .blocked), ("WRONGPASS invalid username-password pair", .refused),
            ("NOPERM this user has no permissions", .refused), ("READONLY You can't write against a read only replica.", .unreachable),
            ("LOADING Redis is loading the dataset in memory", .unreachable),
            ("MISCONF Redis is configured to save RDB snapshots", .blocked),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", .conflict), ("MOVED 3999 127.0.0.1:6381", .unreachable),
            ("ERR unknown command 'XADD'", .invalid), ("ERR something else", .rejected),
            ("ERR Error running script (call to f_1): @user_script:1: OOM command not allowed", .blocked),
        ]
        for (text, code) in table { #expect(RedisFailure(reply: text).binderError.code == code, "\(text)") }
        #expect(RedisFailure(reply: "MOVED 3999 127.0.0.1:6381").moved == .init(host: "127.0.0.1", port: 6381))
        #expect(RedisFailure(reply: "NOGROUP No such key 's'").isGone)
        #expect(RedisFailure(reply: "UNBLOCKED the stream key no longer exists").isGone)
    }
}

private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}
