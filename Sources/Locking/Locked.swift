#if CARILLON_TSAN
    import Foundation

    /// A value behind a lock. ThreadSanitizer reports races that are none on `Synchronization.Mutex` (Linux, 6.3.1), so builds for it use `NSLock`.
    public final class Locked<Value: ~Copyable>: @unchecked Sendable {  // every access to `value` is under `lock`
        private let lock = NSLock()
        private var value: Value

        public init(_ value: consuming sending Value) { self.value = value }

        public func withLock<Result, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            lock.lock()
            defer { lock.unlock() }
            return try body(&value)
        }
    }
#else
    public import Synchronization

    /// A value behind a lock, for state that is touched for less than a microsecond. Never await or call out under it.
    ///
    /// Public, for only such code is inlined into other modules: unspecialised it costs more than the lock.
    public struct Locked<Value: ~Copyable>: ~Copyable, Sendable {
        @usableFromInline let mutex: Mutex<Value>

        @inlinable public init(_ value: consuming sending Value) { mutex = Mutex(value) }

        @inlinable public borrowing func withLock<Result, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            try mutex.withLock(body)
        }
    }
#endif
