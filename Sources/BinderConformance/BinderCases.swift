package import Streams

/// One case that every binder passes: `id` as in the list of the conformance suite, and what it says in words.
package struct BinderCase: Sendable, CustomStringConvertible {
    package let id: String
    package let title: String
    /// A binder without these capabilities skips the case by name.
    package let needs: BinderCapabilities
    private let body: @Sendable (BinderBench) async throws -> Void

    init(_ id: String, _ title: String, needs: BinderCapabilities = [], _ body: @escaping @Sendable (BinderBench) async throws -> Void) {
        self.id = id
        self.title = title
        self.needs = needs
        self.body = body
    }

    package var description: String { "\(id): \(title)" }

    /// Runs the case; throws what it found wrong. Ends within two minutes.
    package func run(_ bench: BinderBench) async throws {
        try await within(.seconds(120), description) { [body] in try await body(bench) }
    }

    /// Which needed capabilities the binder lacks; the case is to be skipped, and said so, when there are any.
    package func missing(_ binder: any Binder) -> BinderCapabilities { needs.subtracting(binder.capabilities) }

    /// The same for a binder on its broker.
    package func missing(_ bench: BinderBench) -> BinderCapabilities { needs.subtracting(bench.capabilities) }
}

/// All cases, for `@Test(arguments: BinderCases.all)`.
package enum BinderCases {
    package static let all: [BinderCase] = dataPath + groups + settling + order + lifecycle

    static func sorted(_ texts: [String]) -> [String] { texts.sorted() }

    static func texts(_ count: Int, _ prefix: String = "e") -> [String] { (0..<count).map { "\(prefix)\($0)" } }
}
