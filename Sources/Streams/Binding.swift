/// A binding as people and programs see it, in the form of Spring's `/actuator/bindings`.
package struct BindingView: Sendable, Hashable {
    package enum State: String, Sendable, Hashable { case running, stopped, paused }

    /// The binding's name: `orders-in-0`.
    package var binding: String
    /// The destination.
    package var name: String
    /// Nil: a broadcast subscription, or an output.
    package var group: String?
    package var state: State
    package var isPausable: Bool
    package var binder: String
    package var isInput: Bool
    /// Why a running binding has no position on the broker at the moment, or what stopped it; nil where all is well.
    package var waitingFor: String?

    package init(
        binding: String, name: String, group: String?, state: State, isPausable: Bool, binder: String, isInput: Bool,
        waitingFor: String? = nil
    ) {
        self.binding = binding
        self.name = name
        self.group = group
        self.state = state
        self.isPausable = isPausable
        self.binder = binder
        self.isInput = isInput
        self.waitingFor = waitingFor
    }
}

/// What cannot be done with a binding, and why.
package struct BindingError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        case unknown
        /// The binding is not in a state from which that is possible.
        case conflict
    }
    package let code: Code
    package let description: String
    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
