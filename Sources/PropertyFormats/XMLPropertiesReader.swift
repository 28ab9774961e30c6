internal import ConfigModel

/// Java's XML form of properties: `<properties><comment>…</comment><entry key="k">v</entry>…</properties>`.
///
/// Reads that one form and refuses everything else: no entities but the five of XML and character references, no internal
/// subset, nothing outside the file. UTF-8 only.
struct XMLPropertiesReader {
    private let text: [UInt8]
    private let path: String
    private var position = 0

    init(_ bytes: [UInt8], path: String) {
        text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        self.path = path
    }

    mutating func document() throws(PropertyFormatError) -> PropertyDocument {
        guard String(validating: text, as: UTF8.self) != nil else { throw failure("XML properties must be UTF-8") }
        var collector = PropertyCollector()
        try skipProlog()
        guard take("<properties") else { throw failure("expected <properties>") }
        if try !attributes(allowed: ["version", "xmlns"], thenSelfClosing: true).selfClosing { try readEntries(into: &collector) }
        try skipMisc()
        guard position == text.count else { throw failure("something follows </properties>") }
        return PropertyDocument(properties: collector.properties)
    }

    private mutating func readEntries(into collector: inout PropertyCollector) throws(PropertyFormatError) {
        while true {
            try skipMisc()
            if take("</properties") {
                try closeTag()
                return
            } else if take("<comment") {
                if try !attributes(allowed: [], thenSelfClosing: true).selfClosing { _ = try content(upTo: "</comment") }
            } else if take("<entry") {
                let tag = try attributes(allowed: ["key"], thenSelfClosing: true)
                guard let key = tag.values["key"] else { throw failure("an <entry> without a key") }
                // The original gives values of XML files no origin either.
                collector.put(Property(key: key, value: .string(tag.selfClosing ? "" : try content(upTo: "</entry"))))
            } else {
                throw failure("expected <entry>, <comment> or </properties>")
            }
        }
    }

    /// XML declaration, comments, and the document type without an internal subset.
    private mutating func skipProlog() throws(PropertyFormatError) {
        if take("<?xml") {
            let start = position
            guard skip(past: "?>") else { throw failure("an XML declaration that does not end") }
            let declaration = String(decoding: text[start..<position], as: UTF8.self).lowercased()
            if let encoding = declaration.firstRange(of: "encoding") {
                let name = declaration[encoding.upperBound...].drop { " =\"'\t".contains($0) }.prefix { !"\"' ?\t".contains($0) }
                guard name == "utf-8" || name == "us-ascii" else { throw failure("XML properties must be UTF-8") }
            }
        }
        try skipMisc()
        if take("<!DOCTYPE") {
            let start = position
            guard skip(past: ">") else { throw failure("a document type that does not end") }
            guard !text[start..<position].contains(UInt8(ascii: "[")) else {
                throw failure("a document type with declarations of its own is refused")
            }
            try skipMisc()
        }
    }

    private mutating func skipMisc() throws(PropertyFormatError) {
        while true {
            skipBlanks()
            if take("<!--") {
                guard skip(past: "-->") else { throw failure("a comment that does not end") }
            } else {
                return
            }
        }
    }

    private mutating func closeTag() throws(PropertyFormatError) {
        skipBlanks()
        guard take(">") else { throw failure("expected >") }
    }

    private mutating func attributes(
        allowed: Set<String>, thenSelfClosing: Bool
    ) throws(PropertyFormatError) -> (values: [String: String], selfClosing: Bool) {
        var values: [String: String] = [:]
        while true {
            let before = position
            skipBlanks()
            if take("/>") { return (values, true) }
            if take(">") { return (values, false) }
            guard position > before else { throw failure("expected a blank, > or />") }
            let start = position
            while position < text.count, !" \t\r\n=/><".utf8.contains(text[position]) { position += 1 }
            let name = String(decoding: text[start..<position], as: UTF8.self)
            skipBlanks()
            guard allowed.contains(name), values[name] == nil, take("=") else { throw failure("an attribute that does not belong here") }
            skipBlanks()
            guard let quote = position < text.count ? text[position] : nil, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
                throw failure("an attribute value must stand in quotes")
            }
            position += 1
            var value: [UInt8] = []
            while position < text.count, text[position] != quote {
                guard text[position] != UInt8(ascii: "<") else { throw failure("< in an attribute value must be written &lt;") }
                try readCharacter(into: &value, attribute: true)
            }
            guard position < text.count else { throw failure("an attribute value that does not end") }
            position += 1
            values[name] = String(decoding: value, as: UTF8.self)
        }
    }

    private mutating func content(upTo end: String) throws(PropertyFormatError) -> String {
        var value: [UInt8] = []
        while position < text.count {
            if take(end) {
                try closeTag()
                return String(decoding: value, as: UTF8.self)
            } else if take("<![CDATA[") {
                let start = position
                guard skip(past: "]]>") else { throw failure("a CDATA section that does not end") }
                value += text[start..<(position - 3)]
            } else if take("<!--") {
                guard skip(past: "-->") else { throw failure("a comment that does not end") }
            } else if text[position] == UInt8(ascii: "<") {
                throw failure("an element that does not belong here")
            } else {
                try readCharacter(into: &value, attribute: false)
            }
        }
        throw failure("an element that does not end")
    }

    /// One byte of text, or a reference; line ends become line feeds, in attributes blanks.
    private mutating func readCharacter(into value: inout [UInt8], attribute: Bool) throws(PropertyFormatError) {
        let byte = text[position]
        position += 1
        switch byte {
        case UInt8(ascii: "&"): try readReference(into: &value)
        case 0x0D:
            if position < text.count, text[position] == 0x0A { position += 1 }
            value.append(attribute ? 0x20 : 0x0A)
        case 0x0A, 0x09: value.append(attribute ? 0x20 : byte)
        case 0x00..<0x20: throw failure("a control character")
        default: value.append(byte)
        }
    }

    private mutating func readReference(into value: inout [UInt8]) throws(PropertyFormatError) {
        guard let end = text[position...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else { throw failure("& must be written &amp;") }
        let name = String(decoding: text[position..<end], as: UTF8.self)
        position = end + 1
        switch name {
        case "amp": value.append(UInt8(ascii: "&"))
        case "lt": value.append(UInt8(ascii: "<"))
        case "gt": value.append(UInt8(ascii: ">"))
        case "quot": value.append(UInt8(ascii: "\""))
        case "apos": value.append(UInt8(ascii: "'"))
        default:
            let number = name.hasPrefix("#x") ? UInt32(name.dropFirst(2), radix: 16) : name.hasPrefix("#") ? UInt32(name.dropFirst(1)) : nil
            guard let number, let scalar = Unicode.Scalar(number), number >= 0x20 || number == 9 || number == 10 || number == 13 else {
                throw failure("an entity that is not known")
            }
            value += Array(String(Character(scalar)).utf8)
        }
    }

    private mutating func skipBlanks() {
        while position < text.count, " \t\r\n".utf8.contains(text[position]) { position += 1 }
    }

    private mutating func take(_ word: String) -> Bool {
        guard text[position...].starts(with: word.utf8) else { return false }
        position += word.utf8.count
        return true
    }

    private mutating func skip(past word: String) -> Bool {
        while position < text.count {
            if take(word) { return true }
            position += 1
        }
        return false
    }

    private func failure(_ reason: String) -> PropertyFormatError {
        let before = text[..<min(position, text.count)]
        let lineStart = (before.lastIndex(of: 0x0A) ?? -1) + 1
        return PropertyFormatError(
            path: path, line: before.count { $0 == 0x0A } + 1, column: before[lineStart...].count { $0 & 0xC0 != 0x80 } + 1, reason: reason)
    }
}
