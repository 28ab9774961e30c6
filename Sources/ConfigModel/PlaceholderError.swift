/// Why placeholders have no answer.
package struct PlaceholderError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Reason: Sendable, Hashable {
        /// The value of this key leads back to itself.
        case circular(key: String)
        /// Placeholders within placeholders, or values that name values, beyond any sense.
        case tooDeep
        /// The values that are put in grow beyond the limit.
        case tooLarge
    }
    package var reason: Reason
    /// The texts in which it was found, innermost first. They hold values: for the one who asked for the configuration, never for a log.
    package var texts: [String]

    package init(reason: Reason, texts: [String]) {
        self.reason = reason
        self.texts = texts
    }

    /// Names the key and no value.
    package var description: String {
        switch reason {
        case .circular(let key): "Circular placeholder reference '\(key)'"
        case .tooDeep: "placeholders are nested too deep"
        case .tooLarge: "the values of placeholders grow too large"
        }
    }

    /// As the original answers it, with the texts. Only for the body of the answer to the one who asked.
    package var answer: String {
        guard !texts.isEmpty else { return description }
        return description + " in value " + texts.map { "\"\($0)\"" }.joined(separator: " <-- ")
    }
}
