internal import Files
internal import HTTPClient
internal import Lifecycle
internal import Locking
internal import Streams
internal import Telemetry
internal import ThreadExecutor

/// All push subscriptions of a server: kept in a file, each running as a child of `run`.
final class Pushers: Sendable {
    private let binder: any Binder
    private let settings: PushSettings
    private let client: HTTPClient
    private let log: Log
    private let metrics: Metrics?
    private let children = Children()
    private let disk = ThreadExecutor(name: "push")
    private struct State {
        var pushers: [PushSubscription.Key: Pusher] = [:]
        /// What the file holds and this version cannot read: written back as it is.
        var unread: [WireValue] = []
    }
    private let state = Locked(State())

    init(binder: any Binder, settings: PushSettings, log: Log, metrics: Metrics?) {
        self.binder = binder
        self.settings = settings
        self.log = log
        self.metrics = metrics
        client = HTTPClient(HTTPClientConfiguration(publicAddressesOnly: !settings.allowsPrivate, redirectLimit: 0))
    }

    deinit { disk.stop() }

    /// Starts those that were kept, then whatever comes, until shutdown; returns when requests under way have ended.
    func run(_ life: ServiceLife) async {
        children.open()
        await load()
        life.started()
        await children.run(until: life) { [self] in for pusher in all { pusher.stop() } }
    }

    // MARK: Subscriptions

    var all: [Pusher] {
        state.withLock { Array($0.pushers.values) }.sorted {
            ($0.subscription.key.destination.name, $0.subscription.key.group.name)
                < ($1.subscription.key.destination.name, $1.subscription.key.group.name)
        }
    }

    func pusher(_ key: PushSubscription.Key) -> Pusher? { state.withLock { $0.pushers[key] } }

    /// Sets up a subscription, in place of one of the same group, once it is on disk.
    func put(_ subscription: PushSubscription) async throws -> Pusher {
        let pusher = Pusher(subscription, settings: settings, client: client, log: log, metrics: metrics)
        let former = try state.withLock { state -> Pusher? in
            guard children.isOpen else {
                throw ChannelError(503, "closed", "the server is starting or ending; try again in a moment", retryAfter: 1)
            }
            guard state.pushers[subscription.key] != nil || state.pushers.count < settings.subscriptions else {
                throw ChannelError(
                    429, "tooMany", "\(settings.subscriptions) push subscriptions are set up, which is the bound of this server",
                    retryAfter: 60)
            }
            defer { state.pushers[subscription.key] = pusher }
            return state.pushers[subscription.key]
        }
        do { try await save() } catch {
            state.withLock { state in if state.pushers[subscription.key] === pusher { state.pushers[subscription.key] = former } }
            throw error
        }
        former?.stop()
        start(pusher)
        return pusher
    }

    /// False where there is none.
    func remove(_ key: PushSubscription.Key) async throws -> Bool {
        guard let pusher = state.withLock({ $0.pushers.removeValue(forKey: key) }) else { return false }
        do { try await save() } catch {
            state.withLock { state in if state.pushers[key] == nil { state.pushers[key] = pusher } }
            throw error
        }
        pusher.stop()
        return true
    }

    private func start(_ pusher: Pusher) {
        children.start { [self, pusher] in
            guard await pusher.run(over: binder) == .gone else { return }
            let key = pusher.subscription.key
            log.warning(
                "a subscriber answered 410: its push subscription is removed",
                ["destination": key.destination.name, "group": key.group.name])
            let isThere = state.withLock { state in
                guard state.pushers[key] === pusher else { return false }
                state.pushers[key] = nil
                return true
            }
            if isThere { try? await save() }
        }
    }

    // MARK: The file

    private func load() async {
        guard let path = settings.file else { return }
        let values: [WireValue]
        do {
            guard let bytes = try await disk.run({ try PrivateFile.read(path) }) else { return }
            values = try WireValue(bytes)["subscriptions"]?.array ?? []
        } catch {
            log.error(
                "push subscriptions cannot be read; the file is kept beside the next one: set them up again",
                ["file": path, "kept": path + ".broken", "reason": "\(error)"])
            try? await disk.run { try PrivateFile.move(path, to: path + ".broken") }
            return
        }
        for value in values {
            do {
                let subscription = try PushSubscription(kept: value, settings: settings)
                let pusher = Pusher(subscription, settings: settings, client: client, log: log, metrics: metrics)
                state.withLock { $0.pushers[subscription.key] = pusher }
            } catch {
                log.error("a push subscription cannot be read; set it up again", ["file": path, "reason": ChannelError.of(error).message])
                state.withLock { $0.unread.append(value) }
            }
        }
        for pusher in all { start(pusher) }
    }

    /// Writes what is set up at the moment of writing, so that the last writer never takes back what another has done.
    private func save() async throws {
        guard let path = settings.file else { return }
        do {
            try await disk.run { [self] in
                let kept = all.map(\.subscription.kept) + state.withLock { $0.unread }
                let bytes = WireValue.object([.init("subscriptions", .array(kept))]).bytes + [10]
                try PrivateFile.makeFolder(path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ".")
                try PrivateFile.write(bytes, to: path, mode: 0o600)
            }
        } catch {
            log.error("push subscriptions cannot be kept", ["file": path, "reason": "\(error)"])
            throw ChannelError(503, "failed", "the push subscription cannot be kept on disk: look at the server's log", retryAfter: 5)
        }
    }
}
