import Streams

/// What went wrong on a connection, as the system, hiredis or the server said it.
struct RedisFailure: Error, Sendable {
    enum Cause: Equatable, Sendable {
        /// No connection, or it was lost.
        case connection
        /// The server answered with an error; its first word.
        case reply(String)
        /// What came is no RESP, or not the answer that the command has.
        case broken
        /// Whoever asked for the connection no longer wants it.
        case ended
    }
    let cause: Cause
    let text: String

    init(_ cause: Cause, _ text: String) {
        self.cause = cause
        self.text = text
    }

    /// An error that the server answered with: `WRONGPASS invalid username-password pair …`. Scripts put more words around it.
    init(reply text: String) {
        // Redis 6 wraps what a command in a script said: `ERR Error running script (call to f_…): @user_script:1: NOGROUP …`.
        let known = ["NOGROUP", "OOM", "WRONGTYPE", "READONLY", "LOADING", "NOPERM", "MISCONF", "MASTERDOWN", "UNBLOCKED"]
        let first = text.prefix { $0 != " " }
        var code = String(first)
        if code == "ERR", let inner = known.first(where: { text.contains(" \($0) ") }) { code = inner }
        if code.hasPrefix("-") { code.removeFirst() }
        self.init(.reply(code), text)
    }

    private var code: String? { if case .reply(let code) = cause { code } else { nil } }

    /// Wrong credentials, a command or key that the user may not use.
    var isRefused: Bool { ["WRONGPASS", "NOAUTH", "NOPERM"].contains(code) || (code == "ERR" && text.contains("AUTH")) }
    /// The group, or the whole stream, is no longer there.
    var isGone: Bool { code == "NOGROUP" || code == "UNBLOCKED" }
    /// The server takes no writes for now, while it answers.
    var isBlocked: Bool { ["OOM", "MISCONF", "BUSY", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN"].contains(code) }
    /// The server cannot serve now, another one at the same or the next address may: connect again.
    var isUnavailable: Bool { ["LOADING", "READONLY", "MASTERDOWN"].contains(code) }
    /// Where the cluster says that the key lives.
    var moved: RedisConfiguration.Address? {
        guard code == "MOVED" || code == "ASK" else { return nil }
        let words = text.split(separator: " ")
        guard words.count >= 3, let colon = words[2].lastIndex(of: ":"), let port = Int(words[2][words[2].index(after: colon)...]) else {
            return nil
        }
        return RedisConfiguration.Address(host: String(words[2][..<colon]), port: port)
    }

    /// For callers of the binder.
    var binderError: BinderError {
        switch cause {
        case .connection, .ended: return BinderError(.unreachable, "no connection to Redis: \(text)")
        case .broken: return BinderError(.broken, "Redis sent what cannot be understood: \(text)")
        case .reply:
            if isRefused { return BinderError(.refused, "Redis refuses: \(text)") }
            if isBlocked { return BinderError(.blocked, "Redis takes no events for now: \(text)") }
            if isUnavailable { return BinderError(.unreachable, "this Redis cannot serve: \(text)") }
            if isGone { return BinderError(.invalid, "no such group on Redis: \(text)") }
            if code == "WRONGTYPE" {
                return BinderError(.conflict, "the key of this destination is no stream; rename it or choose another prefix: \(text)")
            }
            if moved != nil { return BinderError(.unreachable, "the key lives on another node of the cluster: \(text)") }
            if text.contains("unknown command") {
                return BinderError(.invalid, "this Redis is too old (6.2 or later is needed): \(text)")
            }
            return BinderError(.rejected, "Redis answered: \(text)")
        }
    }
}
