/// The field by which a server says when it wants to be asked again.
package enum RetryAfter {
    /// `text`: seconds, or a date. `now`: seconds since 1970. A moment that is over is no pause; nil for what is neither, which says nothing.
    package static func pause(_ text: String, now: Int64) -> Duration? {
        let words = text.split { $0 == " " || $0 == "\t" }
        if words.count == 1, let seconds = Int64(words[0]), seconds >= 0 { return .seconds(min(seconds, 1 << 30)) }
        return HTTPDate.seconds(text).map { .seconds(max(0, min($0 - now, 1 << 30))) }
    }
}
