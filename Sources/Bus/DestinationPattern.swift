/// Which instances an event is for: a pattern over bus ids, as Spring Cloud Bus reads it.
package enum DestinationPattern {
    /// Everybody.
    package static let everybody = "**"

    /// The pattern as it goes on the wire: none becomes `**`; with at most one colon it gets `:**` at its end, so that `orders` is every
    /// instance of that application. Nothing is trimmed: an empty one becomes `:**`, which is nobody.
    package static func normalised(_ destination: String?) -> String {
        guard let destination else { return everybody }
        guard destination != everybody, !destination.hasSuffix(":**"), destination.utf8.count(where: { $0 == 58 }) <= 1 else {
            return destination
        }
        return destination + ":**"
    }

    /// A destination from the segments of a URL behind the endpoint: parameters (`;v=1`) are cut off, empty segments vanish, the rest is
    /// joined by `:`. Nil when there are no segments at all; an empty one (a slash at the end of the endpoint) stays, and is nobody.
    package static func from(segments: some Collection<String>) -> String? {
        guard !segments.isEmpty else { return nil }
        let parts = segments.map { $0.prefix { $0 != ";" } }.filter { !$0.isEmpty }
        return parts.joined(separator: ":")
    }

    /// Whether a pattern matches a bus id: as it stands, or with any single one of its profiles (`app:p1,p2:8080:x` is met by `app:p2:**`).
    package static func matches(_ pattern: String, id: String) -> Bool {
        if PathMatcher.matches(pattern, id) { return true }
        var tokens = id.utf8.split(separator: 58).map { trimmed(Substring($0)) }.filter { !$0.isEmpty }
        guard tokens.count > 1 else { return false }
        let profiles = tokens[1].utf8.split(separator: 44).map { trimmed(Substring($0)) }.filter { !$0.isEmpty }
        guard profiles.count > 1 else { return false }
        return profiles.contains { profile in
            tokens[1] = profile
            return PathMatcher.matches(pattern, tokens.joined(separator: ":"))
        }
    }

    /// Whether an event with this destination is for the instance: none, empty and blank ones are for everybody; a pattern may also name the
    /// instance by one of its configuration names in place of the application.
    package static func isFor(_ destination: String?, id: String, configurationNames: [String] = []) -> Bool {
        guard let destination, destination.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else { return true }
        if matches(destination, id: id) { return true }
        let rest = id.firstIndex(of: ":").map { id[$0...] } ?? ""
        return configurationNames.contains { matches(destination, id: $0 + rest) }
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var scalars = Substring(text).unicodeScalars[...]
        while let first = scalars.first, first.value <= 0x20 { scalars.removeFirst() }
        while let last = scalars.last, last.value <= 0x20 { scalars.removeLast() }
        return String(scalars)
    }
}
