import Locking

/// Values that closures of a test have seen, in order.
package final class Recorded<Value: Sendable>: Sendable {
    private let values = Locked<[Value]>([])
    package init() {}
    package var all: [Value] { values.withLock { $0 } }
    package func add(_ value: Value) { values.withLock { $0.append(value) } }
}
