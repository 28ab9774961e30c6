import Locking

/// A value that several tasks of a test share.
package final class Tally<Value: Sendable>: Sendable {
    private let value: Locked<Value>
    package init(_ value: Value) { self.value = Locked(value) }
    package var now: Value { value.withLock { $0 } }
    package func change(_ body: (inout Value) -> Void) { value.withLock { body(&$0) } }
}
