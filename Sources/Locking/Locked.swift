#if CARILLON_TSAN
    import Foundation

    /// A value behind a lock. ThreadSanitizer reports races that are none on `Synchronization.Mutex` (Linux, 6.3.1), so builds for it use `NSLock`.
    package final class Locked<Value: ~Copyable>: @unchecked Sendable {  // every access to `value` is under `lock`
        private let lock = NSLock()
        private var value: Value

        package init(_ value: consuming sending Value) { self.value = value }

        package func withLock<Result, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            lock.lock()
            defer { lock.unlock() }
            return try body(&value)
        }
    }
#else
    import Synchronization

    /// A value behind a lock, for state that is touched for less than a microsecond. Never await or call out under it.
    package struct Locked<Value: ~Copyable>: ~Copyable, Sendable {
        private let mutex: Mutex<Value>

        package init(_ value: consuming sending Value) { mutex = Mutex(value) }

        package borrowing func withLock<Result, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            try mutex.withLock(body)
        }
    }
#endif
