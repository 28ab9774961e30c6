package import Foundation

/// The recordings of real servers that the `Golden` suites play: those in `Tests/Golden`, or those in the folder that `$CARILLON_GOLDEN` names,
/// which has the same shape.
package enum GoldenFolder {
    package static func url(_ part: String) -> URL {
        if let other = ProcessInfo.processInfo.environment["CARILLON_GOLDEN"], !other.isEmpty {
            return URL(filePath: other).appending(path: part)
        }
        return URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Golden").appending(
            path: part)
    }

    /// The JSON recordings below a part of the folder whose names begin with `prefix`, sorted by name.
    package static func recordings(_ part: String, prefix: String) throws -> [Recording] {
        let folder = url(part)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
            $0.hasPrefix(prefix) && $0.hasSuffix(".json")
        }
        return names.sorted().map { Recording(name: String($0.dropLast(5)), url: folder.appending(path: $0)) }
    }

    package struct Recording: Sendable, CustomStringConvertible {
        package let name: String
        package let url: URL
        package func bytes() throws -> [UInt8] { Array(try Data(contentsOf: url)) }
        package var description: String { name }
    }
}

/// Counts what a `Golden` suite played, and prints it at the end.
package struct GoldenReport {
    private let name: String
    private var ran = 0
    private var failed = 0
    private var left: [String] = []
    private var quirks = 0

    package init(_ name: String) { self.name = name }

    package mutating func played(_ ok: Bool) {
        ran += 1
        if !ok { failed += 1 }
    }
    package mutating func leave(_ name: String, _ why: String) { left.append("\(name) (\(why))") }
    package mutating func quirk() { quirks += 1 }
    package var count: Int { ran }

    package func show() {
        var line = "golden \(name): \(ran) ran, \(ran - failed) passed, \(quirks) quirks not judged, \(left.count) left for later"
        if !left.isEmpty { line += ": " + left.joined(separator: "; ") }
        print(line)
    }
}
