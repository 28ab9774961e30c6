import CPosix
import Crypto
import Glibc
import Streams
import ThreadExecutor

/// One connection: a non-blocking socket, with TLS where asked for, and hiredis's parser behind it. For one thread.
final class RedisConnection {
    let descriptor: Int32
    let address: RedisConfiguration.Address
    private let reader: ReplyReader
    private let tls: TLSSession?
    private var out: [UInt8] = []
    private var sent = 0
    private var input = [UInt8](repeating: 0, count: 65_536)

    /// Connects, makes TLS and says who we are; within `configuration.connectLimit`, and as long as `isWanted`.
    init(
        _ configuration: RedisConfiguration, address: RedisConfiguration.Address, purpose: String, isWanted: () -> Bool
    ) throws(RedisFailure) {
        let deadline = Monotonic.now + configuration.connectLimit.nanoseconds
        self.address = address
        reader = try ReplyReader()
        if let options = configuration.tls {
            do { tls = try TLSSession(host: address.host, options: options) } catch { throw RedisFailure(.connection, "\(error)") }
        } else {
            tls = nil
        }
        descriptor = try Dialer.connect(to: address, until: deadline, isWanted: isWanted)
        var greeting: [RedisCommand] = []
        if let password = configuration.password {
            greeting.append(configuration.user.map { RedisCommand("AUTH", $0, password) } ?? RedisCommand("AUTH", password))
        }
        if configuration.database != 0 { greeting.append(RedisCommand("SELECT", String(configuration.database))) }
        greeting.append(RedisCommand("PING"))
        // The name is for people: a user who may not set one still works.
        let name = "\(configuration.clientName):\(purpose)".map { $0 > " " && $0.isASCII && $0 < "\u{7F}" ? $0 : "-" }
        greeting.append(RedisCommand("CLIENT", "SETNAME", String(name)))
        for command in greeting { send(command.encoded) }
        var answers = 0
        while answers < greeting.count {
            guard isWanted() else { throw RedisFailure(.ended, "no longer wanted") }
            guard Monotonic.now < deadline else {
                throw RedisFailure(.connection, "\(address) did not answer within \(configuration.connectLimit)")
            }
            try flush()
            _ = try receive { reply throws(RedisFailure) in
                answers += 1
                if let failure = reply.failure, answers < greeting.count { throw failure }
            }
            if answers < greeting.count { Dialer.wait(descriptor, writing: wantsToSend, atMost: .milliseconds(50)) }
        }
    }

    deinit { close(descriptor) }

    /// Keeps a command for the next `flush`.
    func send(_ command: [UInt8]) {
        guard let tls else {
            out.append(contentsOf: command)
            return
        }
        tls.write(command)
    }

    var wantsToSend: Bool { out.count > sent || tls?.hasOutput ?? false }

    /// Hands as much to the system as it takes.
    func flush() throws(RedisFailure) {
        if let tls {
            do { try tls.advance() } catch { throw RedisFailure(.connection, "\(address): \(error)") }
            tls.takeOutput(into: &out)
        }
        while sent < out.count {
            let count = out.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + sent }, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
                continue
            }
            if errno == EINTR { continue }
            if errno == EAGAIN || errno == EWOULDBLOCK { break }
            throw RedisFailure(.connection, "\(address): \(String(cString: strerror(errno)))")
        }
        if sent == out.count {
            out.removeAll(keepingCapacity: out.capacity < 1 << 20)
            sent = 0
        } else if sent > 1 << 20 {
            out.removeFirst(sent)
            sent = 0
        }
    }

    /// Hands every whole answer that has come to `body`; returns how many.
    func receive(_ body: (RedisReply) throws(RedisFailure) -> Void) throws(RedisFailure) -> Int {
        var answers = 0
        var rounds = 0
        // Few enough for one turn that others of the thread are served in between.
        while rounds < 16 {
            rounds += 1
            let count = input.withUnsafeMutableBytes { carillon_receive_at_hand(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { throw RedisFailure(.connection, "\(address) closed the connection") }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN || errno == EWOULDBLOCK { break }
                throw RedisFailure(.connection, "\(address): \(String(cString: strerror(errno)))")
            }
            try feed(count)
            while let reply = try reader.next() {
                answers += 1
                try body(reply)
            }
            if count < input.count { break }
        }
        return answers
    }

    private func feed(_ count: Int) throws(RedisFailure) {
        guard let tls else {
            let failure = input.withUnsafeBytes { bytes in
                Self.failure { () throws(RedisFailure) in try reader.feed(UnsafeRawBufferPointer(rebasing: bytes[..<count])) }
            }
            if let failure { throw failure }
            return
        }
        var plain: [UInt8] = []
        do {
            input.withUnsafeBytes { tls.feed(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            try tls.advance()
            try tls.read(into: &plain)
        } catch {
            throw RedisFailure(.connection, "\(address): \(error)")
        }
        let failure = plain.withUnsafeBytes { bytes in Self.failure { () throws(RedisFailure) in try reader.feed(bytes) } }
        if let failure { throw failure }
    }

    private static func failure(_ body: () throws(RedisFailure) -> Void) -> RedisFailure? {
        do throws(RedisFailure) { try body() } catch { return error }
        return nil
    }
}
