import Glibc
import Processes
import TestSupport
import Testing

@Suite struct HeldProcessTests {
    private let environment = ["PATH": "/usr/bin:/bin"]

    @Test func `becomes its command when it is released, and keeps what it was known by`() async throws {
        try await withTemporaryFolder { folder in
            let mark = "\(folder)/mark"
            let exits = Recorded<ProcessExit?>()
            let held = try HeldProcess(
                ["sh", "-c", "echo $$ $A > \(mark).new && mv \(mark).new \(mark); exit 3"],
                environment: environment.merging(["A": "b.c"]) { $1 })
            let identity = try #require(ProcessIdentity(living: held.identifier))
            #expect(ProcessIdentity.members(ofGroup: held.identifier) == [identity])
            let child = try ChildProcess(watching: held.identifier, name: "sh") { exits.add($0) }
            #expect(identity.isAlive && exits.all.isEmpty)
            #expect(access(mark, F_OK) != 0)
            held.release()
            try await eventually("the exit") { exits.all == [.code(3)] }
            #expect(try text(mark) == "\(held.identifier) b.c\n")
            #expect(child.identifier == held.identifier && !identity.isAlive)
        }
    }

    @Test(.enabled(if: access("/usr/bin/python3", X_OK) == 0, "python3 is not installed: apt-get install python3"))
    func `is alive as long as one of its threads is, though the first has ended`() async throws {
        let program = """
            import ctypes, threading, time
            threading.Thread(target=time.sleep, args=(600,)).start()
            ctypes.CDLL(None).pthread_exit(None)
            """
        let exits = Recorded<ProcessExit?>()
        let held = try HeldProcess(["python3", "-c", program], environment: environment)
        let identity = try #require(ProcessIdentity(living: held.identifier))
        _ = try ChildProcess(watching: held.identifier, name: "python3") { exits.add($0) }
        held.release()
        try await eventually("the end of the first thread") { try text("/proc/\(held.identifier)/stat").contains(") Z ") }
        #expect(identity.isAlive && exits.all.isEmpty)
        kill(held.identifier, SIGKILL)
        try await eventually("the exit") { exits.all == [.signal(SIGKILL)] }
        #expect(!identity.isAlive)
    }

    @Test func `ends without its command when nobody releases it`() async throws {
        try await withTemporaryFolder { folder in
            let exits = Recorded<ProcessExit?>()
            var held: HeldProcess? = try HeldProcess(["touch", "\(folder)/mark"], environment: environment)
            _ = try ChildProcess(watching: try #require(held?.identifier), name: "touch") { exits.add($0) }
            held = nil
            try await eventually("the exit") { exits.all == [.code(0)] }
            #expect(access("\(folder)/mark", F_OK) != 0)
        }
    }

    @Test func `ends without its command when who started it is killed`() async throws {
        try await withTemporaryFolder { folder in
            // Two that are held: neither keeps the other's gate open.
            let first = try HeldProcess(["touch", "\(folder)/first"], environment: environment)
            let second = try HeldProcess(["touch", "\(folder)/second"], environment: environment)
            let exits = Recorded<pid_t>()
            let (one, two) = (first.identifier, second.identifier)
            _ = try ChildProcess(watching: one, name: "touch") { _ in exits.add(one) }
            _ = try ChildProcess(watching: two, name: "touch") { _ in exits.add(two) }
            first.discard()
            try await eventually("the exit of the first") { exits.all == [one] || ProcessIdentity(living: one) == nil }
            #expect(ProcessIdentity(living: two) != nil)
            second.release()
            try await eventually("the second's command") { access("\(folder)/second", F_OK) == 0 }
            #expect(access("\(folder)/first", F_OK) != 0)
        }
    }

    @Test func `says what cannot be started`() async throws {
        #expect(throws: ChildProcess.Failure.self) { try HeldProcess(["no-such-program"], environment: environment) }
        #expect(throws: ChildProcess.Failure.self) { try HeldProcess([], environment: environment) }
        #expect(throws: ChildProcess.Failure.self) { try HeldProcess(["sh", "a\0b"], environment: environment) }
        for (program, code) in [("/no/such/program", Int32(127)), ("/etc/passwd", 126)] {
            let exits = Recorded<ProcessExit?>()
            let held = try HeldProcess([program], environment: environment)
            _ = try ChildProcess(watching: held.identifier, name: program) { exits.add($0) }
            held.release()
            try await eventually("the exit") { exits.all == [.code(code)] }
        }
    }

    @Test(arguments: ["grep -E '^Sig(Blk|Ign)' /proc/self/status", "ls /proc/self/fd", "wc -c"])
    func `starts with no signal blocked or ignored, no descriptor of ours, and an empty input`(command: String) async throws {
        try await withTemporaryFolder { folder in
            let open = Glibc.open("/dev/null", O_RDONLY)  // without close-on-exec
            defer { close(open) }
            signal(SIGPIPE, SIG_IGN)
            let exits = Recorded<ProcessExit?>()
            // The shell becomes the command: between two commands it blocks signals itself.
            let held = try HeldProcess(["sh", "-c", "exec \(command) >\(folder)/mark"], environment: environment)
            _ = try ChildProcess(watching: held.identifier, name: "sh") { exits.add($0) }
            held.release()
            try await eventually("the exit") { exits.all == [.code(0)] }
            let words = try text("\(folder)/mark").split(whereSeparator: \.isWhitespace)
            switch command.prefix(2) {
            case "gr":
                #expect(words[1] == "0000000000000000")
                // But for 32 and 33, which are the C library's own: whoever started us may have left them ignored.
                #expect(try #require(UInt64(words[3], radix: 16)) & ~0x1_8000_0000 == 0)
            case "ls": #expect(words == ["0", "1", "2", "3"])  // 3 is the folder that it lists
            default: #expect(words == ["0"])
            }
        }
    }

    private func text(_ path: String) throws -> String {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}

@Suite struct ProcessIdentityTests {
    @Test func `another process with the number is another`() throws {
        let own = try #require(ProcessIdentity(living: getpid()))
        #expect(own.isAlive)
        #expect(!ProcessIdentity(number: own.number, start: own.start + 1).isAlive)
        #expect(ProcessIdentity(living: 0) == nil && ProcessIdentity(living: -1) == nil)
        #expect(ProcessIdentity.boot?.count == 36)
    }
}
