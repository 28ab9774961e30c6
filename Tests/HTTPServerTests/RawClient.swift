import CPosix
import Glibc
import Locking
import ThreadExecutor

/// A client that sends and receives exactly the bytes of a test, on a thread of its own: blocking on the pool would stop the server's tasks.
final class RawClient: Sendable {
    struct Failure: Error { let what: String }
    private let descriptor: Int32
    private let pending = Locked<[UInt8]>([])
    private let lastError = Locked<Int32>(0)
    private let thread = ThreadExecutor(name: "raw-client")

    init(port: Int) throws {
        descriptor = try RawClient.connect(port)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        thread.stop()
        close(descriptor)
    }

    static func connect(_ port: Int, receiveBuffer: Int32? = nil) throws -> Int32 {
        let descriptor = socket(AF_INET, carillon_sock_stream, 0)
        if var receiveBuffer { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size)) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard descriptor >= 0, result == 0 else {
            let reason = String(cString: strerror(errno))
            if descriptor >= 0 { close(descriptor) }
            throw Failure(what: "connect: \(reason)")
        }
        return descriptor
    }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    /// Sends all; an end of the connection while sending is no error, since the server may refuse what is still under way.
    func send(_ bytes: [UInt8]) async throws {
        try await thread.run { [descriptor] in
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL)) }
                guard count > 0 else { return }
                sent += count
            }
        }
    }

    /// No more will be sent; answers can still come.
    func closeWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Closes with a reset instead of an orderly end.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// Everything up to the end of the connection.
    func untilEnd() async throws -> String { String(decoding: try await read { _ in nil }, as: UTF8.self) }

    /// Everything until `text` came, or the connection ended.
    func until(_ text: String) async throws -> String {
        let wanted = Array(text.utf8)
        return String(decoding: try await read { bytes in bytes.end(of: wanted) }, as: UTF8.self)
    }

    /// One answer with its body, by its Content-Length.
    func answer(isHead: Bool = false) async throws -> RawAnswer {
        let bytes = try await read { RawAnswer.length(of: $0, isHead: isHead) }
        guard let answer = RawAnswer(bytes) else {
            let reason = lastError.withLock { $0 == 0 ? "an orderly end" : String(cString: strerror($0)) }
            throw Failure(what: "no answer but \(reason) behind \(String(decoding: bytes, as: UTF8.self).debugDescription)")
        }
        return answer
    }

    /// Whether the server closes now, without sending another byte.
    func isClosed() async throws -> Bool { try await untilEnd().isEmpty }

    /// Reads until `length` says how many bytes are wanted and they are there, or to the end; what follows waits for the next call.
    private func read(_ length: @escaping @Sendable ([UInt8]) -> Int?) async throws -> [UInt8] {
        try await thread.run { [self] in
            var all = pending.withLock { $0 }
            var room = [UInt8](repeating: 0, count: 65536)
            var wanted = length(all)
            while wanted.map({ all.count < $0 }) ?? true {
                let count = recv(descriptor, &room, room.count, 0)
                if count < 0, errno == EAGAIN {
                    throw Failure(
                        what: "nothing came for 10 s; before: \(String(decoding: all.suffix(200), as: UTF8.self).debugDescription)")
                }
                if count < 0 { lastError.withLock { $0 = errno } }
                guard count > 0 else { break }
                all += room[..<count]
                if wanted == nil { wanted = length(all) }
            }
            let taken = min(wanted ?? all.count, all.count)
            pending.withLock { $0 = Array(all[taken...]) }
            return Array(all[..<taken])
        }
    }
}

extension [UInt8] {
    /// The index behind the first place of `wanted`.
    func end(of wanted: [UInt8]) -> Int? {
        guard !wanted.isEmpty, count >= wanted.count else { return nil }
        return (0...(count - wanted.count)).first { self[$0..<$0 + wanted.count].elementsEqual(wanted) }.map { $0 + wanted.count }
    }
}

/// An answer as it came.
struct RawAnswer: Sendable {
    let status: Int
    let header: String
    let body: [UInt8]

    init?(_ bytes: [UInt8]) {
        guard let end = Self.headerEnd(of: bytes), bytes.count >= 12, let status = Int(String(decoding: bytes[9..<12], as: UTF8.self))
        else { return nil }
        self.status = status
        header = String(decoding: bytes[..<end], as: UTF8.self)
        body = Array(bytes[end...])
    }

    var text: String { String(decoding: body, as: UTF8.self) }

    func field(_ name: String) -> String? {
        for line in header.split(separator: "\r\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == name.lowercased() { return parts[1].trimming }
        }
        return nil
    }

    /// The statuses of all answers in a text.
    static func statuses(in text: String) -> [Int] {
        text.split(separator: "HTTP/1.", omittingEmptySubsequences: true).compactMap { part in
            let words = part.prefix(8).split(separator: " ", omittingEmptySubsequences: false)
            return words.count > 2 && words[0].count == 1 ? Int(words[1]) : nil
        }
    }

    /// Length of header and body; nil while the header is not whole.
    static func length(of bytes: [UInt8], isHead: Bool) -> Int? {
        guard let end = headerEnd(of: bytes), let answer = RawAnswer(bytes) else { return nil }
        return end + (isHead ? 0 : answer.field("content-length").flatMap { Int($0) } ?? 0)
    }

    private static func headerEnd(of bytes: [UInt8]) -> Int? { bytes.end(of: [13, 10, 13, 10]) }
}

extension Substring {
    fileprivate var trimming: String { String(drop { $0 == " " }) }
}
