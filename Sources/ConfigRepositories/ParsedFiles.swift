package import ConfigModel
import Locking
package import PropertyFormats

/// The documents of one file, in the order of the file; null documents are left out.
package struct ParsedFile: Sendable {
    package var documents: [[Property]]
    package init(documents: [[Property]]) { self.documents = documents }
}

/// Parsed files by the identity of their content: a file is parsed once, whatever trees, labels and audiences it serves. Bounded by the bytes parsed.
package final class ParsedFiles: Sendable {
    /// Reads a file of properties. Throws `.broken` naming file, line and reason.
    package typealias Parser = @Sendable (_ path: String, _ bytes: [UInt8]) throws(ConfigError) -> ParsedFile

    /// The extensions that hold properties, lowest precedence first.
    package static let extensions = ["yaml", "yml", "xml", "properties"]

    /// Whether the name of a file says that it holds properties: an extension alone is no name.
    package static func holdsProperties(_ path: String) -> Bool {
        let name = TreePath.name(of: path)
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return false }
        return extensions.contains(String(name[name.index(after: dot)...]))
    }

    private enum Outcome: Sendable {
        case parsed(ParsedFile)
        case failed(ConfigError)
    }
    private struct Key: Hashable {
        let identity: FileIdentity
        /// Errors name the path, and the extension decides the format.
        let path: String
    }
    private let parser: Parser
    private let cache: Locked<LeastRecentlyUsed<Key, Outcome>>

    /// `limit` is in bytes of file content; what parsed files take in memory is several times that.
    package init(limit: Int = 16 << 20, parser: @escaping Parser) {
        self.parser = parser
        cache = Locked(LeastRecentlyUsed(limit: limit))
    }

    /// Reads files as what their extension says.
    package convenience init(limit: Int = 16 << 20, options: PropertyFile.Options = PropertyFile.Options()) {
        self.init(limit: limit) { (path, bytes) throws(ConfigError) in
            do throws(PropertyFormatError) {
                return ParsedFile(documents: try PropertyFile.parse(bytes, path: path, options: options).map(\.properties))
            } catch {
                throw ConfigError(.broken, error.description, original: OriginalMessage.of(error, in: bytes))
            }
        }
    }

    /// The documents of a file of the tree; nil when there is no such file. Throws `.broken` when it cannot be read as what its name says.
    package func file(_ path: String, in tree: any FileTree) throws(ConfigError) -> ParsedFile? {
        guard let identity = try tree.identity(of: path) else { return nil }
        let key = Key(identity: identity, path: path)
        if let known = cache.withLock({ $0.value(for: key) }) { return try Self.result(known) }
        guard let bytes = try tree.file(path) else { return nil }
        let outcome: Outcome
        do { outcome = .parsed(try parser(tree.shown(path), bytes)) } catch { outcome = .failed(error) }
        cache.withLock { $0.insert(outcome, for: key, cost: bytes.count + 256) }
        return try Self.result(outcome)
    }

    private static func result(_ outcome: Outcome) throws(ConfigError) -> ParsedFile {
        switch outcome {
        case .parsed(let file): return file
        case .failed(let error): throw error
        }
    }
}
