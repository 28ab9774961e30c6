import Synchronization

/// Counts the changes of what a repository serves.
final class Generation: Sendable {
    private let count = Atomic<Int>(1)
    var value: Int { count.load(ordering: .acquiring) }
    func advance() { count.add(1, ordering: .acquiringAndReleasing) }
}
