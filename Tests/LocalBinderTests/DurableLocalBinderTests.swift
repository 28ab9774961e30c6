import Glibc
import Lifecycle
import LocalBinder
import Locking
import Streams
import TestSupport
import Testing

@Suite struct DurableLocalBinderTests {
    private static let destination: Destination = { do { return try Destination("orders") } catch { fatalError("\(error)") } }()
    private static let group: ConsumerGroup = { do { return try ConsumerGroup("workers") } catch { fatalError("\(error)") } }()

    private func publish(_ texts: [String], by binder: LocalBinder) async throws {
        for text in texts { _ = try await binder.publish(Envelope(text: text), to: Self.destination) }
    }

    /// Takes deliveries of the group until `count` have come, and settles each as `body` says.
    private func handle(_ count: Int, by binder: LocalBinder, _ body: (String) -> DeliveryOutcome) async throws -> [(String, Int)] {
        try await binder.withSubscription(to: Self.destination, group: Self.group, options: SubscriptionOptions()) { deliveries in
            var seen: [(String, Int)] = []
            while seen.count < count, let delivery = try await deliveries.next() {
                let text = String(decoding: delivery.envelope.payload, as: UTF8.self)
                seen.append((text, delivery.attempt))
                try await delivery.settle(body(text))
            }
            return seen
        }
    }

    @Test func `events, group positions, attempts, delays and dead letters are there after a restart`() async throws {
        try await withTemporaryFolder { folder in
            let folder = "\(folder)/made/on/the/way"
            let headers: [String: HeaderValue] = [
                "n": 1, "b": .bytes([0, 255]), "t": .table(["a": .array([.null, true, .double(1.5)])]), "s": "ü",
            ]
            let position = try await BinderBench.withBinder(LocalBinder(storage: .folder(folder))) { binder in
                try await binder.prepare(group: Self.group, of: Self.destination)
                let full = Envelope(payload: [1, 2], contentType: "x/y", headers: headers, key: "k", timestamp: 77)
                let receipt = try await binder.publish(full, to: Self.destination)
                try await publish(["done", "later", "dead", "again", "untouched"], by: binder)
                _ = try await handle(5, by: binder) { text in
                    switch text {
                    case "again": .retry(after: .zero)
                    case "later": .retry(after: .seconds(5))
                    case "dead": .reject(FailureReason(message: "no", kind: "K"))
                    default: .accept
                    }
                }
                return receipt.position
            }
            try await BinderBench.withBinder(LocalBinder(storage: .folder(folder))) { binder in
                let backlog = try await binder.backlog(of: Self.destination, group: Self.group)
                #expect(backlog.total == 3 && backlog.delayed == 1 && backlog.dead == 1)
                let letters = try await binder.deadLetters(of: Self.destination, group: Self.group, limit: 10)
                #expect(letters.map(\.envelope.payload) == [Array("dead".utf8)])
                #expect(letters.first?.reason == FailureReason(message: "no", kind: "K"))
                let seen = try await handle(3, by: binder) { _ in .accept }
                #expect(Set(seen.map(\.0)) == ["again", "later", "untouched"])
                #expect(seen.first { $0.0 == "again" }.map(\.1) ?? 0 >= 2)
                let replayed = try await binder.replay(nil, of: Self.destination, group: Self.group)
                #expect(replayed == 1)
                let again = try await handle(1, by: binder) { _ in .accept }
                #expect(again.map(\.0) == ["dead"])
                let options = SubscriptionOptions(start: position.map { .after($0) } ?? .latest)
                let next = try await binder.withSubscription(to: Self.destination, group: nil, options: options) {
                    try await $0.next()?.take().envelope
                }
                #expect(next?.payload == Array("done".utf8))
                let first = try await binder.withSubscription(
                    to: Self.destination, group: nil, options: SubscriptionOptions(start: .earliest)
                ) {
                    try await $0.next()?.take().envelope
                }
                #expect(first?.headers == headers && first?.key == "k" && first?.timestamp == 77 && first?.contentType == "x/y")
            }
        }
    }

    @Test func `a backlog larger than the memory allowed is read back from the file, also after a restart`() async throws {
        try await withTemporaryFolder { folder in
            let limits = LocalLimits(historyEvents: 10, memoryBytes: 2000)
            let texts = (0..<300).map { "\($0)-" + String(repeating: "x", count: 100) }
            try await BinderBench.withBinder(LocalBinder(storage: .folder(folder), limits: limits)) { binder in
                try await binder.prepare(group: Self.group, of: Self.destination)
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for text in texts { tasks.addTask { try await publish([text], by: binder) } }
                    try await tasks.waitForAll()
                }
                let seen = try await handle(100, by: binder) { _ in .accept }
                #expect(Set(seen.map(\.0)).count == 100)
            }
            try await BinderBench.withBinder(LocalBinder(storage: .folder(folder), limits: limits)) { binder in
                let seen = try await handle(200, by: binder) { _ in .accept }
                #expect(Set(seen.map(\.0)).count == 200)
                try await publish(["end"], by: binder)
                let last = try await handle(1, by: binder) { _ in .accept }
                #expect(last.map(\.0) == ["end"])
            }
            // All that is done is gone from the file but for the history.
            try await BinderBench.withBinder(LocalBinder(storage: .folder(folder), limits: limits)) { binder in
                let left = Collector()
                try await binder.withSubscription(to: Self.destination, group: nil, options: SubscriptionOptions(start: .earliest)) {
                    deliveries in
                    while left.count < 10, let delivery = try await deliveries.next() {
                        left.add(Seen(envelope: delivery.envelope, attempt: 1))
                        try await delivery.accept()
                    }
                }
                #expect(left.texts.last == "end")
            }
        }
    }

    @Test func `a second process is refused the folder with the reason`() async throws {
        try await withTemporaryFolder { folder in
            try await BinderBench.withBinder(LocalBinder(storage: .folder(folder))) { _ in
                let second = LocalBinder(storage: .folder(folder))
                await #expect { try await second.run(ServiceLife()) } throws: { ($0 as? BinderError)?.code == .conflict }
                await #expect { try await publish(["x"], by: second) } throws: { ($0 as? BinderError)?.message.contains(folder) ?? false }
                #expect(!second.readiness.isReady)
            }
        }
    }

    @Test func `after kill -9 in the middle nothing confirmed is lost and nothing accepted comes again`() async throws {
        try await withTemporaryFolder { folder in
            for round in 0..<3 {
                await #expect(processExitsWith: .signal(SIGKILL)) { [folder = folder as String, round = round as Int] in
                    try await DurableLocalBinderTests.publishAndConsumeUntilKilled(folder: folder, round: round)
                }
            }
            let confirmed = try Self.lines("\(folder)/confirmed")
            let taken = try Self.lines("\(folder)/taken")
            let accepted = try Self.lines("\(folder)/accepted")
            #expect(confirmed.count > 300 && accepted.count > 50)
            try await BinderBench.withBinder(LocalBinder(storage: .folder(folder))) { binder in
                let backlog = try await binder.backlog(of: Self.destination, group: Self.group).total
                let left = try await handle(backlog, by: binder) { _ in .accept }.map(\.0)
                #expect(Set(confirmed).subtracting(taken).subtracting(left) == [], "lost")
                #expect(Set(accepted).intersection(left) == [], "accepted, but delivered again")
            }
        }
    }

    @Test func `a disk that takes no more refuses events, loses none that it confirmed, and takes more when there is room`() async throws {
        try await withTemporaryFolder { folder in
            _ = await #expect(processExitsWith: .success) { [folder = folder as String] in
                try await DurableLocalBinderTests.publishUntilRefused(folder: folder)
            }
        }
    }

    /// Runs in a process of its own, whose files may not grow beyond a limit for a while.
    static func publishUntilRefused(folder: String) async throws {
        signal(SIGXFSZ, SIG_IGN)
        let binder = LocalBinder(storage: .folder(folder))
        try await binder.prepare(group: group, of: destination)
        var confirmed: [String] = []
        func publish(_ text: String) async -> BinderError? {
            do throws(BinderError) {
                _ = try await binder.publish(Envelope(payload: Array(text.utf8) + Array(repeating: 46, count: 5000)), to: destination)
                confirmed.append(text)
                return nil
            } catch { return error }
        }
        #expect(await publish("first") == nil)
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        let before = limit
        limit.rlim_cur = 200_000
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        var refusal: BinderError?
        for number in 0..<200 where refusal == nil { refusal = await publish("\(number)") }
        #expect(refusal?.message.contains(folder) == true)
        #expect(!binder.readiness.isReady)
        limit = before
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        #expect(await publish("last") == nil)
        #expect(binder.readiness.isReady)
        let seen = try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
            var seen: [String] = []
            while seen.count < confirmed.count, let delivery = try await deliveries.next() {
                seen.append(String(decoding: delivery.envelope.payload.prefix { $0 != 46 }, as: UTF8.self))
                try await delivery.accept()
            }
            return seen
        }
        #expect(seen == confirmed)
        let left = try await binder.backlog(of: destination, group: group).total
        #expect(left == 0)
    }

    private static func lines(_ file: String) throws -> [String] {
        guard let opened = fopen(file, "r") else { return [] }
        defer { fclose(opened) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&buffer, 1, buffer.count, opened), count > 0 { text += buffer[..<count] }
        // The last line may be cut by the kill: what has no line feed was not confirmed to anybody.
        return String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    /// Runs in a process of its own: 20 publishers and a consumer at work until a thread kills all of it.
    static func publishAndConsumeUntilKilled(folder: String, round: Int) async throws {
        let binder = LocalBinder(storage: .folder(folder))
        try await binder.prepare(group: group, of: destination)
        let confirmed = open("\(folder)/confirmed", O_CREAT | O_APPEND | O_WRONLY, 0o600)
        let taken = open("\(folder)/taken", O_CREAT | O_APPEND | O_WRONLY, 0o600)
        let accepted = open("\(folder)/accepted", O_CREAT | O_APPEND | O_WRONLY, 0o600)
        let done = Counter()
        func note(_ text: String, in file: Int32) {
            let line = Array((text + "\n").utf8)
            _ = write(file, line, line.count)
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for publisher in 0..<20 {
                tasks.addTask {
                    for number in 0... {
                        let text = "\(round)-\(publisher)-\(number)"
                        _ = try await binder.publish(Envelope(text: text), to: destination)
                        note(text, in: confirmed)
                        done.add()
                        if done.value >= 200 + round * 37 { kill(getpid(), SIGKILL) }
                    }
                }
            }
            for _ in 0..<8 {
                tasks.addTask {
                    try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 4)) {
                        deliveries in
                        while let delivery = try await deliveries.next() {
                            let text = String(decoding: delivery.envelope.payload, as: UTF8.self)
                            note(text, in: taken)
                            try await delivery.accept()
                            note(text, in: accepted)
                        }
                    }
                }
            }
            try await tasks.waitForAll()
        }
    }
}
