import Options

/// Which function takes the events of which input, and where its results go: settings and registered functions brought together and checked.
struct FunctionPlan {
    struct Input {
        let name: String
        let binding: InputBinding
        let chain: FunctionChain
        /// The name of the output; nil: none.
        let output: String?
    }
    private(set) var inputs: [Input] = []
    /// Inputs that `functions:` leaves out.
    private(set) var idle: [String] = []

    /// Throws for bindings without a function, functions without a binding, and those that do not fit together.
    init(_ functions: RegisteredFunctions, _ settings: FunctionSettings) throws(FunctionError) {
        if let name = functions.duplicates.first {
            throw FunctionError(.functions, "the function \(name) is there twice: give each its own name, or its own `input:`")
        }
        for definition in settings.functions {
            for name in Self.parts(definition) { try functions.check(name, "`functions` names") }
        }
        for (name, binding) in settings.inputs.sorted(by: { $0.key < $1.key }) {
            guard let parsed = BindingName(name), parsed.isInput else {
                throw FunctionError(.settings, "the input \(name) must be called FUNCTION-in-0")
            }
            let definition = Self.definition(of: parsed.function, functions, settings)
            for part in Self.parts(definition) { try functions.check(part, "the binding \(name) belongs to") }
            guard settings.functions.isEmpty || settings.functions.contains(definition) else {
                idle.append(name)
                continue
            }
            inputs.append(try Self.input(name, parsed, binding, definition, functions, settings))
        }
        for name in settings.outputs.keys.sorted() {
            guard let parsed = BindingName(name), !parsed.isInput else { continue }
            for part in Self.parts(Self.definition(of: parsed.function, functions, settings)) {
                try functions.check(part, "the binding \(name) belongs to")
            }
        }
        let bound = Set(inputs.flatMap { Self.parts($0.chain.definition) })
        let wanted = settings.functions.isEmpty ? Array(functions.names) : settings.functions.flatMap(Self.parts)
        if let forgotten = wanted.sorted().first(where: { !bound.contains($0) }) {
            throw FunctionError(
                .functions, "the function \(forgotten) has no input: bind it with `bindings: {\(forgotten)-in-0: {destination: …}}`")
        }
    }

    private static func input(
        _ name: String, _ parsed: BindingName, _ binding: InputBinding, _ definition: String, _ functions: RegisteredFunctions,
        _ settings: FunctionSettings
    ) throws(FunctionError) -> Input {
        var members: [Function] = []
        for (place, part) in parts(definition).enumerated() {
            guard let function = functions.function(part, input: place == 0 ? parsed.index : nil) else {
                throw FunctionError(.functions, "the function \(part) has no handler for input \(parsed.index), which \(name) binds")
            }
            members.append(function)
        }
        let chain = FunctionChain(definition: definition, functions: members)
        if let late = members.dropFirst().firstIndex(where: { if case .batch = $0.body { true } else { false } }) {
            throw FunctionError(.functions, "\(parts(definition)[late]) takes batches, so it must be the first function of \(definition)")
        }
        if binding.batch != nil, !chain.takesBatches {
            throw FunctionError(.settings, "\(name) has a `batch`, and \(definition) takes single events: register it with `batch(_:)`")
        }
        guard !binding.destinations.isEmpty else { throw FunctionError(.settings, "\(name) needs a destination") }
        let output = [parsed.function, definition, definition.filter { $0 != "|" }].map { $0 + "-out-0" }.first {
            settings.outputs[$0] != nil
        }
        if chain.needsOutput, output == nil {
            throw FunctionError(
                .functions, "\(definition) returns results and has no output: bind `\(definition)-out-0`, or return nothing")
        }
        return Input(name: name, binding: binding, chain: chain, output: output)
    }

    static func parts(_ definition: String) -> [String] { definition.split(separator: "|").map(String.init) }

    /// A binding's name has its function, a composition, or the composition's parts without their bars, as Spring writes it.
    private static func definition(of name: String, _ functions: RegisteredFunctions, _ settings: FunctionSettings) -> String {
        if functions.names.contains(name) || name.contains("|") { return name }
        return settings.functions.first { $0.contains("|") && $0.filter { $0 != "|" } == name } ?? name
    }
}

/// The handlers of an app.
struct RegisteredFunctions: Sendable {
    private struct Place: Hashable {
        let name: String
        /// Nil: all inputs that have no handler of their own.
        let input: Int?
    }
    private var functions: [Place: Function] = [:]
    private(set) var duplicates: [String] = []

    var names: Set<String> { Set(functions.keys.map(\.name)) }

    mutating func add(_ name: String, _ input: Int?, _ function: Function) {
        if functions.updateValue(function, forKey: Place(name: name, input: input)) != nil { duplicates.append(name) }
    }

    func function(_ name: String, input: Int?) -> Function? {
        functions[Place(name: name, input: input)] ?? functions[Place(name: name, input: nil)]
    }

    /// Throws, naming the nearest, where there is no function of that name.
    func check(_ name: String, _ who: String) throws(FunctionError) {
        guard !names.contains(name) else { return }
        let hint = Spelling.nearest(to: name, in: names.sorted()).map { "; did you mean `\($0)`?" } ?? ""
        throw FunctionError(.functions, "\(who) `\(name)`, which is no function of this app\(hint)")
    }
}
