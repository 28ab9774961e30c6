/// A condition on profiles as `spring.config.activate.on-profile` has it: `prod`, `!a & (b | c)`.
///
/// As in the original a name is everything between the operators, an operator at the end is harmless, and `&` and `|` side by
/// side need parentheses.
package struct ProfileExpression: Sendable, Hashable {
    /// Why a text is no condition. Holds the text: conditions are no secrets.
    package struct Malformed: Error, Sendable, Hashable, CustomStringConvertible {
        package let expression: String
        package var description: String {
            "the profile condition \"\(expression)\" cannot be read: write names with !, &, | and parentheses, and set parentheses between & and |"
        }
    }

    private indirect enum Node: Sendable, Hashable {
        case name(String)
        case not(Node)
        case all([Node])
        case any([Node])
    }

    private enum Context {
        case none
        case negation
        case parentheses
    }

    /// As it was written.
    package let text: String
    private let root: Node

    package init(_ text: String) throws(Malformed) {
        self.text = text
        var tokens = Self.tokens(text)[...]
        root = try Self.parse(&tokens, text, .none, depth: 0)
    }

    /// Whether the condition holds when `profiles` are active. Names are compared exactly.
    package func matches(_ profiles: [String]) -> Bool {
        Self.evaluate(root, profiles)
    }

    private static func evaluate(_ node: Node, _ profiles: [String]) -> Bool {
        switch node {
        case .name(let name): profiles.contains(name)
        case .not(let inner): !evaluate(inner, profiles)
        case .all(let parts): parts.allSatisfy { evaluate($0, profiles) }
        case .any(let parts): parts.contains { evaluate($0, profiles) }
        }
    }

    private static func tokens(_ text: String) -> [Substring] {
        var result: [Substring] = []
        var start = text.startIndex
        func take(upTo end: String.Index) {
            let word = text[start..<end]
            guard let first = word.firstIndex(where: { !$0.isWhitespace }), let last = word.lastIndex(where: { !$0.isWhitespace }) else {
                return
            }
            result.append(word[first...last])
        }
        for index in text.indices where "()&|!".contains(text[index]) {
            take(upTo: index)
            result.append(text[index...index])
            start = text.index(after: index)
        }
        take(upTo: text.endIndex)
        return result
    }

    private static func parse(
        _ tokens: inout ArraySlice<Substring>, _ text: String, _ context: Context, depth: Int
    ) throws(Malformed) -> Node {
        guard depth < 64 else { throw Malformed(expression: text) }
        var elements: [Node] = []
        var conjunction: Bool?
        func merged() throws(Malformed) -> Node {
            guard let first = elements.first else { throw Malformed(expression: text) }
            return elements.count == 1 ? first : conjunction == true ? .all(elements) : .any(elements)
        }
        while let token = tokens.popFirst() {
            switch token {
            case "(":
                let inner = try parse(&tokens, text, .parentheses, depth: depth + 1)
                if context == .negation { return inner }
                elements.append(inner)
            case "&", "|":
                guard conjunction == nil || conjunction == (token == "&") else { throw Malformed(expression: text) }
                conjunction = token == "&"
            case "!":
                elements.append(.not(try parse(&tokens, text, .negation, depth: depth + 1)))
            case ")":
                let inner = try merged()
                if context == .parentheses { return inner }
                elements = [inner]
                conjunction = nil
            default:
                if context == .negation { return .name(String(token)) }
                elements.append(.name(String(token)))
            }
        }
        return try merged()
    }
}
