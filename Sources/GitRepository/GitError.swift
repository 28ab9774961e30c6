import CGit2
import ConfigRepositories

/// What libgit2 said of the last call on this thread that failed.
struct GitError: Error {
    let code: Int32
    let message: String

    /// Takes the thread's last error: call it right after the failure.
    init(code: Int32) {
        self.code = code
        message = git_error_last().flatMap { $0.pointee.message }.map { String(cString: $0) } ?? "libgit2 error \(code)"
    }

    init(message: String) {
        code = GIT_ERROR.rawValue
        self.message = message
    }

    /// Throws what went wrong unless `code` says that all went well.
    static func check(_ code: Int32) throws(GitError) {
        if code < 0 { throw GitError(code: code) }
    }
}

/// The library's start, once in a process; never undone, since other threads may still be in it when a process ends.
enum GitLibrary {
    static let isStarted: Bool = carillon_git_start("carillon") > 0
}
