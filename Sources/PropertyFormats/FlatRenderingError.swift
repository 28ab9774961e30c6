package import ConfigModel

/// Why an environment cannot be written in a flat form.
package enum FlatRenderingError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A key that makes no tree: `a..b`, `.a`, `[0]`, `c[0]d`. The original answers 400 with this message.
    case invalidKey(String)
    /// Placeholders without an answer; `PlaceholderError.answer` is what the original says.
    case placeholders(PlaceholderError)

    package var description: String {
        switch self {
        case .invalidKey(let key): "Invalid key: \(key)"
        case .placeholders(let error): error.description
        }
    }
}
