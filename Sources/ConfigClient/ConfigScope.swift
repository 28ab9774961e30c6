import Locking

/// A value made of the configuration, made anew when a key that it was made of changes.
///
/// All scopes of a client change together: when one of them cannot be made of a new configuration, none changes and the old one stays in force.
public final class ConfigScope<Value: Sendable>: Sendable {
    private struct State: Sendable {
        var value: Value
        var record: ReadRecord
    }
    private let state: Locked<State>
    private let make: @Sendable (ConfigSnapshot) throws -> Value

    init(_ snapshot: ConfigSnapshot, _ make: @escaping @Sendable (ConfigSnapshot) throws -> Value) throws {
        self.make = make
        let record = ReadRecord()
        state = Locked(State(value: try make(snapshot.recording(record)), record: record))
    }

    /// The value of the configuration in force.
    public var value: Value { state.withLock { $0.value } }
}

/// A scope whatever its value.
protocol AnyConfigScope: AnyObject, Sendable {
    /// Makes the value of `snapshot` where one of `changed` was read for the old one. Nothing changes before the returned closure is called.
    func prepare(_ snapshot: ConfigSnapshot, changed: [String]) throws -> (@Sendable () -> Void)?
}

extension ConfigScope: AnyConfigScope {
    func prepare(_ snapshot: ConfigSnapshot, changed: [String]) throws -> (@Sendable () -> Void)? {
        guard state.withLock({ $0.record }).isTouched(by: changed) else { return nil }
        let record = ReadRecord()
        let next = State(value: try make(snapshot.recording(record)), record: record)
        return { [self] in state.withLock { $0 = next } }
    }
}
