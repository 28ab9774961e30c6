import FoundationEssentials
import Glibc

/// A fresh folder for `body`, removed with everything in it afterwards.
package func withTemporaryFolder<R>(
    isolation: isolated (any Actor)? = #isolation, _ body: (String) async throws -> R
) async throws -> R {
    var template = Array("/tmp/carillon-test-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw CaseFailed(description: "no temporary folder: \(String(cString: strerror(errno)))") }
    let path = String(cString: made)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}
