internal import ConfigModel

/// `.properties` as Spring Boot reads them: Java's rules, lists by `key[]=a,b`, documents parted by `#---`.
struct JavaPropertiesReader {
    private var characters: JavaPropertiesCharacters

    init(_ bytes: [UInt8], path: String, encoding: PropertyFile.Options.Encoding) {
        characters = JavaPropertiesCharacters(bytes, path: path, encoding: encoding)
    }

    mutating func documents() throws(PropertyFormatError) -> [PropertyDocument] {
        var documents: [PropertyDocument] = []
        var document = PropertyCollector()
        // A separator next to a comment line of its own kind is a comment too: `#---` within a box of `#` lines.
        var lastComment: UInt16?
        while try characters.advance() {
            if characters.isCommentStart {
                let prefix = characters.current
                if lastComment != prefix && isSeparator() {
                    if !document.isEmpty { documents.append(PropertyDocument(properties: document.properties)) }
                    document = PropertyCollector()
                } else {
                    if document.isEmpty, let last = documents.popLast() {
                        for property in last.properties { document.put(property) }
                    }
                    lastComment = prefix
                    characters.skipLine()
                }
            } else {
                lastComment = nil
                try readProperty(into: &document)
            }
        }
        if !document.isEmpty { documents.append(PropertyDocument(properties: document.properties)) }
        return documents
    }

    /// `---` right after the comment character at the start of a line, and nothing but blanks after.
    private mutating func isSeparator() -> Bool {
        guard characters.column == 0, characters.restOfLineIsSeparator else { return false }
        characters.skipSeparator()
        return true
    }

    private mutating func readProperty(into document: inout PropertyCollector) throws(PropertyFormatError) {
        let key = try readKey()
        guard key.hasSuffix("[]") else {
            let value = try readValue(upToComma: false)
            if !key.isEmpty { document.put(Property(key: key, value: .string(value.text), origin: value.origin)) }
            return
        }
        let list = key.dropLast(2)
        var index = 0
        repeat {
            let value = try readValue(upToComma: true)
            document.put(Property(key: "\(list)[\(index)]", value: .string(value.text), origin: value.origin))
            index += 1
            if !characters.isEndOfLine { _ = try characters.advance() }
        } while !characters.isEndOfLine
    }

    private mutating func readKey() throws(PropertyFormatError) -> String {
        var key: [UInt16] = []
        var previousBlank = false
        while !characters.isEndOfLine {
            if characters.isDelimiter {
                _ = try characters.advance()
                break
            }
            let blank = characters.isBlank
            if !blank && previousBlank { break }
            previousBlank = blank
            key.append(characters.current)
            _ = try characters.advance()
        }
        // Java's trim: everything up to the space character goes, escaped or not.
        while let last = key.last, last <= 0x20 { key.removeLast() }
        return String(decoding: key.drop { $0 <= 0x20 }, as: UTF16.self)
    }

    private mutating func readValue(upToComma: Bool) throws(PropertyFormatError) -> (text: String, origin: Origin) {
        while characters.isBlank && !characters.isEndOfLine { _ = try characters.advance() }
        let origin = characters.origin
        var text: [UInt16] = []
        while !characters.isEndOfLine && !(upToComma && characters.isComma) {
            text.append(characters.current)
            _ = try characters.advance()
        }
        return (String(decoding: text, as: UTF16.self), origin)
    }
}
