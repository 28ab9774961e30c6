internal import Lifecycle
internal import Locking
package import Streams

/// Who is to be told when a group that had nothing to do has something.
struct BacklogWatches: Sendable {
    typealias Changed = @Sendable (DestinationGroup) -> Void
    /// A call to be made outside the lock.
    typealias Hint = @Sendable () -> Void

    private var watchers: [UInt64: (groups: Set<DestinationGroup>, changed: Changed)] = [:]
    /// The watched groups of each destination, by its name.
    private var groups: [String: Set<DestinationGroup>] = [:]
    private var last: UInt64 = 0

    var isEmpty: Bool { watchers.isEmpty }

    mutating func add(_ wanted: Set<DestinationGroup>, _ changed: @escaping Changed) -> UInt64 {
        last += 1
        watchers[last] = (wanted, changed)
        for one in wanted { groups[one.destination.name, default: []].insert(one) }
        return last
    }

    mutating func remove(_ id: UInt64) {
        guard watchers.removeValue(forKey: id) != nil else { return }
        groups = [:]
        for watcher in watchers.values { for one in watcher.groups { groups[one.destination.name, default: []].insert(one) } }
    }

    func watched(of destination: String) -> Set<DestinationGroup> { groups[destination] ?? [] }

    func hints(of group: DestinationGroup) -> [Hint] {
        watchers.values.filter { $0.groups.contains(group) }.map { watcher in { [changed = watcher.changed] in changed(group) } }
    }
}

extension LocalBinder.State {
    /// What is to be told when an event is appended to this destination: its watched groups that have nothing to do now.
    func hints(before index: Int) -> [BacklogWatches.Hint] {
        watches.watched(of: broker.destinations[index].name).flatMap { one in
            broker.isIdle(one.group.name, in: index) == true ? watches.hints(of: one) : []
        }
    }
}

extension LocalBinder: BacklogWatching {
    package func watch(_ groups: Set<DestinationGroup>, _ changed: @escaping @Sendable (DestinationGroup) -> Void) async {
        do { try await whenOpen() } catch { return }
        let (id, busy) = state.withLock { state in
            let busy = groups.filter { one in
                state.broker.index(of: one.destination).map { state.broker.isIdle(one.group.name, in: $0) == false } ?? false
            }
            return (state.watches.add(groups, changed), busy)
        }
        for one in busy { changed(one) }
        await ShutdownSignal().wait()  // never given: cancellation ends it
        state.withLock { $0.watches.remove(id) }
    }

    func hint(_ group: DestinationGroup) {
        for hint in state.withLock({ $0.watches.hints(of: group) }) { hint() }
    }
}
