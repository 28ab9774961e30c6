import Operations
import Streams

extension FunctionApp {
    /// A binding and how it is.
    public struct BindingState: Sendable, Hashable {
        public enum State: String, Sendable { case running, stopped, paused }
        public let name: String
        public let destination: String
        public let group: String?
        public let isInput: Bool
        public let state: State
        /// Why a running binding has no position on the broker at the moment, or what stopped it.
        public let problem: String?
    }

    /// All bindings, sorted by name; also the destinations that were only known at run time.
    public var bindingStates: [BindingState] {
        bindings.views.map { view in
            BindingState(
                name: view.binding, destination: view.name, group: view.group, isInput: view.isInput,
                state: BindingState.State(rawValue: view.state.rawValue) ?? .stopped, problem: view.waitingFor)
        }
    }

    /// Nil when every broker is connected and every running binding has its position there: what is published from then on is not missed.
    public var problem: String? {
        guard isBound else { return "the app does not run" }
        let all = binders.sorted { $0.key < $1.key }.map(\.value.readiness) + parts.map { $0.readiness() } + [bindings.readiness]
        return all.lazy.compactMap(\.problem).first
    }

    /// Throws `.conflict` when it is started already, `.unknownBinding` where there is none of that name.
    public func start(_ binding: String) throws(FunctionError) {
        do { try bindings.start(binding) } catch { throw FunctionError(error) }
    }

    /// Takes no further event, and returns when those in hand are ended.
    public func stop(_ binding: String) async throws(FunctionError) {
        do { try await bindings.stop(binding) } catch { throw FunctionError(error) }
    }

    /// Takes no further event until `resume`, and keeps the subscription.
    public func pause(_ binding: String) throws(FunctionError) {
        do { try bindings.pause(binding) } catch { throw FunctionError(error) }
    }

    public func resume(_ binding: String) throws(FunctionError) {
        do { try bindings.resume(binding) } catch { throw FunctionError(error) }
    }
}

extension FunctionError {
    init(_ error: BindingError) { self.init(error.code == .unknown ? .unknownBinding : .conflict, error.description) }
}
