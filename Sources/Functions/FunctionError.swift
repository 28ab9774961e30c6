/// Functions that cannot be bound as the settings say: names the thing, the place and the remedy.
public struct FunctionError: Error, Sendable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Base: String, Sendable { case settings, functions, unknownBinding, conflict }
        private let base: Base
        private init(_ base: Base) { self.base = base }
        /// The settings cannot be read or carried out.
        public static let settings = Code(.settings)
        /// Functions and bindings do not fit together.
        public static let functions = Code(.functions)
        /// There is no binding of that name.
        public static let unknownBinding = Code(.unknownBinding)
        /// The binding, or the app, is not in a state from which that is possible.
        public static let conflict = Code(.conflict)
        public var description: String { base.rawValue }
    }

    public let code: Code
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(message) (\(code))" }
}
