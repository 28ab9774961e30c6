internal import ConfigModel

/// The characters of a `.properties` file, one at a time: line ends made one, escapes resolved, places counted as Spring Boot counts them.
///
/// Works on UTF-16 units, since `\uXXXX` names those: a pair of them may make one character.
struct JavaPropertiesCharacters {
    private let units: [UInt16]
    private let path: String
    private var position = 0
    /// 0-based line of the next character to read.
    private var line = 0
    /// 0-based column of the current character; -1 after the end of a line.
    private(set) var column = -1
    private(set) var current: UInt16 = 0
    private var isEscaped = false
    private var isEndOfFile = false

    init(_ bytes: [UInt8], path: String, encoding: PropertyFile.Options.Encoding) {
        self.path = path
        switch encoding {
        case .latin1: units = bytes.map(UInt16.init)
        case .utf8:
            units = Array(String(decoding: bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...], as: UTF8.self).utf16)
        }
    }

    /// Goes to the next character, past blanks at the start of a line; false at the end of the file.
    mutating func advance() throws(PropertyFormatError) -> Bool {
        while true {
            isEscaped = false
            read()
            column += 1
            if column == 0 { while !isEndOfFile && isBlank { read(); column += 1 } }
            guard !isEndOfFile else { return false }
            guard current == Self.backslash else {
                if current == Self.lineFeed { column = -1 }
                return true
            }
            isEscaped = true
            read()
            guard !isEndOfFile else { return false }
            switch current {
            case UInt16(UInt8(ascii: "t")): current = 0x09
            case UInt16(UInt8(ascii: "r")): current = 0x0D
            case UInt16(UInt8(ascii: "n")): current = 0x0A
            case UInt16(UInt8(ascii: "f")): current = 0x0C
            case UInt16(UInt8(ascii: "u")): try readUnicode()
            case Self.lineFeed:
                // The line goes on: the blanks at the start of the next one are not part of it.
                column = -1
                continue
            default: break
            }
            return true
        }
    }

    var isBlank: Bool { !isEscaped && (current == 0x20 || current == 0x09 || current == 0x0C) }
    var isEndOfLine: Bool { isEndOfFile || (!isEscaped && current == Self.lineFeed) }
    var isComma: Bool { !isEscaped && current == UInt16(UInt8(ascii: ",")) }
    var isDelimiter: Bool { !isEscaped && (current == UInt16(UInt8(ascii: "=")) || current == UInt16(UInt8(ascii: ":"))) }
    /// A backslash before it does not help: the original takes `\#key` for a comment too.
    var isCommentStart: Bool { current == UInt16(UInt8(ascii: "#")) || current == UInt16(UInt8(ascii: "!")) }

    /// Where the current character stands.
    var origin: Origin { Origin(line: line + 1, column: column + 1) }

    /// Whether `---` and at most blanks follow on this line.
    var restOfLineIsSeparator: Bool {
        let rest = restOfLine
        return rest.starts(with: [0x2D, 0x2D, 0x2D]) && rest.dropFirst(3).allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0C }
    }

    private var restOfLine: ArraySlice<UInt16> { units[position...].prefix { $0 != 0x0A && $0 != 0x0D } }

    /// Goes to the end of this line; the next character is the first of the next line. A comment has no escapes.
    mutating func skipLine() {
        isEscaped = false
        while !isEndOfFile && current != Self.lineFeed { read() }
        column = -1
    }

    /// As `skipLine`, after a separator. Where blanks follow it the original forgets to count the next line's columns from its start.
    mutating func skipSeparator() {
        let length = restOfLine.count + 1
        skipLine()
        if length > 4 { column = length }
    }

    private static let backslash = UInt16(UInt8(ascii: "\\"))
    private static let lineFeed: UInt16 = 0x0A

    /// One character as it stands in the file; `\r\n` and `\r` are a line feed.
    private mutating func read() {
        guard position < units.count else {
            isEndOfFile = true
            current = 0
            return
        }
        current = units[position]
        position += 1
        if current == 0x0D {
            if position < units.count && units[position] == Self.lineFeed { position += 1 }
            current = Self.lineFeed
        }
        if current == Self.lineFeed { line += 1 }
    }

    private mutating func readUnicode() throws(PropertyFormatError) {
        var value: UInt16 = 0
        for _ in 0..<4 {
            read()
            let digit: UInt16? =
                switch current {
                case 0x30...0x39: current - 0x30
                case 0x41...0x46: current - 0x41 + 10
                case 0x61...0x66: current - 0x61 + 10
                default: nil
                }
            guard !isEndOfFile, let digit else {
                throw PropertyFormatError(
                    path: path, line: line + 1, column: column + 1, reason: "\\u must be followed by four hexadecimal digits")
            }
            value = value << 4 | digit
        }
        current = value
    }
}
