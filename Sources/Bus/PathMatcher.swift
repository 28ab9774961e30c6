/// Spring's `AntPathMatcher` with `:` between the segments: `?` one character, `*` any number within a segment, `{name}` a segment or part of
/// one, `**` as a whole segment any number of segments. Case counts, empty segments do not.
enum PathMatcher {
    static func matches(_ pattern: String, _ path: String) -> Bool {
        // By byte: a colon with a combining mark behind it is one `Character`, and still a separator.
        let colon = UInt8(ascii: ":")
        guard (pattern.utf8.first == colon) == (path.utf8.first == colon) else { return false }
        if pattern == "**" { return true }
        let pathEndsOpen = path.utf8.last == colon
        let sameEnd = (pattern.utf8.last == colon) == pathEndsOpen
        var patterns = pattern.utf8.split(separator: colon).map { Substring($0) }[...]
        var segments = path.utf8.split(separator: colon).map { Substring($0) }[...]
        while let first = patterns.first, first != "**", let segment = segments.first {
            guard matchesSegment(first, segment) else { return false }
            patterns.removeFirst()
            segments.removeFirst()
        }
        if segments.isEmpty {
            if patterns.isEmpty { return sameEnd }
            if patterns.count == 1, patterns.first == "*", pathEndsOpen { return true }
            return patterns.allSatisfy { $0 == "**" }
        }
        guard !patterns.isEmpty else { return false }
        var atEnd = true
        while let last = patterns.last, last != "**", let segment = segments.last {
            guard matchesSegment(last, segment), !atEnd || sameEnd else { return false }
            atEnd = false
            patterns.removeLast()
            segments.removeLast()
        }
        return matchesBetween(patterns, segments)
    }

    /// `patterns` begins and ends with `**`, or only `**` is left to match no segment at all.
    private static func matchesBetween(_ patterns: ArraySlice<Substring>, _ segments: ArraySlice<Substring>) -> Bool {
        var rest = segments
        for part in patterns.split(separator: "**") {
            // The earliest place is as good as any: what follows is `**` again.
            guard rest.count >= part.count,
                let place = (rest.startIndex...(rest.endIndex - part.count)).first(where: { place in
                    zip(part, rest[place...]).allSatisfy(matchesSegment)
                })
            else { return false }
            rest = rest[(place + part.count)...]
        }
        return true
    }

    private enum Piece: Equatable {
        case one
        case many
        case scalar(Unicode.Scalar)
    }

    static func matchesSegment(_ pattern: Substring, _ segment: Substring) -> Bool {
        let pieces = Self.pieces(of: pattern)
        let text = Array(segment.unicodeScalars)
        var (piece, place) = (0, 0)
        var (lastMany, retry) = (-1, 0)
        while place < text.count {
            if piece < pieces.count, pieces[piece] == .one || pieces[piece] == .scalar(text[place]) {
                piece += 1
                place += 1
            } else if piece < pieces.count, pieces[piece] == .many {
                lastMany = piece
                retry = place
                piece += 1
            } else if lastMany >= 0 {
                retry += 1
                place = retry
                piece = lastMany + 1
            } else {
                return false
            }
        }
        return pieces[piece...].allSatisfy { $0 == .many }
    }

    private static func pieces(of pattern: Substring) -> [Piece] {
        let scalars = Array(pattern.unicodeScalars)
        var pieces: [Piece] = []
        var index = 0
        while index < scalars.count {
            switch scalars[index] {
            case "?": pieces.append(.one)
            case "*": pieces.append(.many)
            case "{":
                if let end = endOfVariable(scalars, from: index) {
                    pieces.append(.many)
                    index = end
                } else {
                    pieces.append(.scalar("{"))
                }
            default: pieces.append(.scalar(scalars[index]))
            }
            index += 1
        }
        return pieces
    }

    /// Where `{name}` ends: the name is not empty, holds no `/`, and braces within it are paired.
    private static func endOfVariable(_ scalars: [Unicode.Scalar], from start: Int) -> Int? {
        var depth = 1
        for index in (start + 1)..<max(start + 1, scalars.count) {
            switch scalars[index] {
            case "/": return nil
            case "{": depth += 1
            case "}":
                depth -= 1
                if depth == 0 { return index > start + 1 ? index : nil }
            default: break
            }
        }
        return nil
    }
}
