extension YAMLEmitter {
    mutating func writePlain(_ text: [UInt16], foldingAt width: Int?) {
        guard !text.isEmpty else { return }
        if !isAfterWhitespace { append([0x20]) }
        isAfterWhitespace = false
        isIndention = false
        var spaces = false
        var breaks = false
        var start = 0
        for end in 0...text.count {
            let unit = end < text.count ? text[end] : nil
            if spaces {
                if unit != 0x20 {
                    if start + 1 == end, let width, column > width {
                        continueOnNextLine()
                    } else {
                        append(text[start..<end])
                    }
                    start = end
                }
            } else if breaks {
                if unit.map(YAMLTextAnalysis.isLineBreak) != true {
                    writeBreaks(text[start..<end])
                    continueOnNextLine()
                    start = end
                }
            } else if unit == nil || unit == 0x20 || unit.map(YAMLTextAnalysis.isLineBreak) == true {
                append(text[start..<end])
                start = end
            }
            if let unit {
                spaces = unit == 0x20
                breaks = YAMLTextAnalysis.isLineBreak(unit)
            }
        }
    }

    private mutating func continueOnNextLine() {
        writeIndent()
        isAfterWhitespace = false
        isIndention = false
    }

    /// Within folded text a line feed is written as two: one alone would be a blank.
    private mutating func writeBreaks(_ breaks: ArraySlice<UInt16>) {
        if breaks.first == 0x0A { lineBreak(0x0A) }
        for unit in breaks { lineBreak(unit) }
    }

    mutating func writeSingleQuoted(_ text: [UInt16], foldingAt width: Int?) {
        indicator("'", needsSpace: true)
        var spaces = false
        var breaks = false
        var start = 0
        for end in 0...text.count {
            let unit = end < text.count ? text[end] : nil
            if spaces {
                if unit != 0x20 {
                    if start + 1 == end, let width, column > width, start != 0, end != text.count {
                        writeIndent()
                    } else {
                        append(text[start..<end])
                    }
                    start = end
                }
            } else if breaks {
                if unit.map(YAMLTextAnalysis.isLineBreak) != true {
                    writeBreaks(text[start..<end])
                    writeIndent()
                    start = end
                }
            } else if unit == nil || unit == 0x20 || unit == 0x27 || unit.map(YAMLTextAnalysis.isLineBreak) == true, start < end {
                append(text[start..<end])
                start = end
            }
            if unit == 0x27 {
                append([0x27, 0x27])
                start = end + 1
            }
            if let unit {
                spaces = unit == 0x20
                breaks = YAMLTextAnalysis.isLineBreak(unit)
            }
        }
        indicator("'", needsSpace: false)
    }

    mutating func writeLiteral(_ text: [UInt16]) {
        var hints = ""
        if let first = text.first, first == 0x20 || YAMLTextAnalysis.isLineBreak(first) { hints += "2" }
        if let last = text.last {
            if !YAMLTextAnalysis.isLineBreak(last) {
                hints += "-"
            } else if text.count == 1 || YAMLTextAnalysis.isLineBreak(text[text.count - 2]) {
                hints += "+"
            }
        }
        indicator("|" + hints, needsSpace: true)
        lineBreak(0x0A)
        var breaks = true
        var start = 0
        for end in 0...text.count {
            let unit = end < text.count ? text[end] : nil
            let isBreak = unit.map(YAMLTextAnalysis.isLineBreak) == true
            if breaks {
                if !isBreak {
                    for unit in text[start..<end] { lineBreak(unit) }
                    if unit != nil { writeIndent() }
                    start = end
                }
            } else if unit == nil || isBreak {
                // Columns do not count here: nothing in a literal is folded.
                output += text[start..<end]
                if unit == nil { lineBreak(0x0A) }
                start = end
            }
            if unit != nil { breaks = isBreak }
        }
    }

    mutating func writeDoubleQuoted(_ text: [UInt16], foldingAt width: Int?) {
        indicator("\"", needsSpace: true)
        var start = 0
        var end = 0
        while end <= text.count {
            let unit = end < text.count ? text[end] : nil
            if unit.map(Self.mustEscape) != false {
                if start < end {
                    append(text[start..<end])
                    start = end
                }
                if let unit {
                    let isPair = (0xD800..<0xDC00).contains(unit) && end + 1 < text.count
                    append(Self.escape(isPair ? text[end...(end + 1)] : text[end...end])[...])
                    if isPair { end += 1 }
                    start = end + 1
                }
            }
            if let width, end > 0, end < text.count - 1, unit == 0x20 || start >= end, column + (end - start) > width {
                if start < end {
                    append(text[start..<end])
                    start = end
                }
                append([0x5C])
                continueOnNextLine()
                if start < text.count, text[start] == 0x20 { append([0x5C]) }
            }
            end += 1
        }
        indicator("\"", needsSpace: false)
    }

    private static func mustEscape(_ unit: UInt16) -> Bool {
        !(0x20...0x7E).contains(unit) || unit == 0x22 || unit == 0x5C
    }

    private static let names: [UInt16: Unicode.Scalar] = [
        0x00: "0", 0x07: "a", 0x08: "b", 0x09: "t", 0x0A: "n", 0x0B: "v", 0x0C: "f", 0x0D: "r", 0x1B: "e", 0x22: "\"", 0x5C: "\\",
        0x85: "N", 0xA0: "_",
        0x2028: "L", 0x2029: "P",
    ]

    /// A character outside of ASCII stands as it is when it is printable.
    private static func escape(_ units: ArraySlice<UInt16>) -> [UInt16] {
        if units.count == 1, let unit = units.first {
            if let name = names[unit] { return [0x5C, UInt16(UInt8(ascii: name))] }
            if let scalar = Unicode.Scalar(unit), !YAMLTextAnalysis.isPrintable(scalar) {
                let digits = String(unit, radix: 16)
                let width = unit <= 0xFF ? 2 : 4
                return Array("\\\(unit <= 0xFF ? "x" : "u")\(String(repeating: "0", count: max(0, width - digits.count)))\(digits)".utf16)
            }
        }
        return Array(units)
    }
}
