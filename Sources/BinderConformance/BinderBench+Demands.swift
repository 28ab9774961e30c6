internal import Lifecycle
package import Streams

// What a capability promises must be there: a binder or a bench without it fails the case, which would prove nothing.
extension BinderBench {
    package func demandOversized() throws -> Int {
        guard let oversized else { throw CaseFailed(description: "the bench names no payload that is over the limit") }
        return oversized
    }

    package func demandKeeper() throws -> any DeadLetterKeeping {
        guard let keeper = binder as? any DeadLetterKeeping else {
            throw CaseFailed(description: "\(binder.name) claims nativeDeadLetters and does not show its dead letters")
        }
        return keeper
    }

    func demandRemover() throws -> any DestinationRemoving {
        guard let remover = binder as? any DestinationRemoving else {
            throw CaseFailed(description: "\(binder.name) claims removable and cannot remove")
        }
        return remover
    }

    func demandVariant<T>(_ variant: T?, _ name: String) throws -> T {
        guard let variant else { throw CaseFailed(description: "\(binder.name) claims \(name), and the bench has no way to try it") }
        return variant
    }
}
