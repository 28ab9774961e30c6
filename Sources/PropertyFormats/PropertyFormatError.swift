/// Why a file cannot be read: the place and the reason, never a value from the file.
package struct PropertyFormatError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The path that the caller gave.
    package var path: String
    /// 1-based; nil when the file as a whole is meant.
    package var line: Int?
    /// 1-based, in characters.
    package var column: Int?
    package var reason: String

    package init(path: String, line: Int? = nil, column: Int? = nil, reason: String) {
        self.path = path
        self.line = line
        self.column = column
        self.reason = reason
    }

    /// `foo.yml:3:7: reason`.
    package var description: String {
        var place = path
        if let line { place += ":\(line)" }
        if line != nil, let column { place += ":\(column)" }
        return "\(place): \(reason)"
    }
}
