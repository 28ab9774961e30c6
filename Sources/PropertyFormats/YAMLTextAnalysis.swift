/// Which ways of writing a text are open to it, as SnakeYAML decides.
struct YAMLTextAnalysis {
    let isEmpty: Bool
    let isMultiline: Bool
    let allowsPlain: Bool
    let allowsSingleQuoted: Bool
    let allowsBlock: Bool

    /// Line feed, next line, line and paragraph separator.
    static func isLineBreak(_ unit: UInt16) -> Bool { unit == 0x0A || unit == 0x85 || unit == 0x2028 || unit == 0x2029 }

    /// Characters that may stand in YAML as they are.
    static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E, 0x09, 0x0A, 0x0D, 0x85, 0xA0...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
        default: false
        }
    }

    private static func isBlank(_ unit: UInt16) -> Bool { unit == 0 || unit == 0x20 || unit == 0x09 }

    private static func isBlankOrBreak(_ unit: UInt16) -> Bool { isBlank(unit) || unit == 0x0D || isLineBreak(unit) }

    private static let leading = Set("#,[]{}&*!|>'\"%@`".utf16)

    init(_ text: [UInt16]) {
        guard let first = text.first else {
            (isEmpty, isMultiline, allowsPlain, allowsSingleQuoted, allowsBlock) = (true, false, true, true, false)
            return
        }
        var indicators = text.starts(with: "---".utf16) || text.starts(with: "...".utf16)
        var lineBreaks = false
        var special = false
        var breakSpace = false
        var spaceBreak = false
        var precededByBlank = true
        var followedByBlank = text.count == 1 || Self.isBlankOrBreak(text[1])
        var previousSpace = false
        var previousBreak = false
        var index = 0
        while index < text.count {
            let unit = text[index]
            let isSurrogate = (0xD800..<0xE000).contains(unit)
            let isBreak = Self.isLineBreak(unit)
            if index == 0 {
                if Self.leading.contains(unit) { indicators = true }
                if "?:-".utf16.contains(unit) && followedByBlank { indicators = true }
            } else {
                if unit == 0x3A && followedByBlank { indicators = true }
                if unit == 0x23 && precededByBlank { indicators = true }
            }
            if isBreak { lineBreaks = true }
            let isPlainCharacter = unit == 0x0A || (0x20...0x7E).contains(unit) || unit == 0x85 || (unit >= 0xA0 && unit <= 0xFFFD)
            if !isPlainCharacter { special = true }
            if unit == 0x20 {
                if previousBreak { breakSpace = true }
                (previousSpace, previousBreak) = (true, false)
            } else if isBreak {
                if previousSpace { spaceBreak = true }
                (previousSpace, previousBreak) = (false, true)
            } else {
                (previousSpace, previousBreak) = (false, false)
            }
            index += isSurrogate ? 2 : 1
            precededByBlank = Self.isBlank(unit) || isBreak
            followedByBlank = true
            if index + 1 < text.count {
                let next = index + ((0xD800..<0xE000).contains(text[index]) ? 2 : 1)
                if next < text.count { followedByBlank = Self.isBlank(text[next]) || isBreak }
            }
        }
        let last = text[text.count - 1]
        let trailingSpace = last == 0x20
        let outerBlank = first == 0x20 || trailingSpace || Self.isLineBreak(first) || Self.isLineBreak(last)
        let leadingZero = text.count > 1 && first == 0x30 && text.dropFirst().allSatisfy { (0x30...0x39).contains($0) || $0 == 0x5F }
        let quotedOnly = spaceBreak || special
        isEmpty = false
        isMultiline = lineBreaks
        allowsPlain = !(outerBlank || leadingZero || breakSpace || quotedOnly || indicators)
        allowsSingleQuoted = !(breakSpace || quotedOnly)
        allowsBlock = !(trailingSpace || quotedOnly)
    }
}
