/// Whether a rendered scalar is still one scalar (or one flow collection) after values were pasted into it.
///
/// The original replaces placeholders in the finished text: `num: ${server.port}` becomes the number 80. That is kept where the document
/// stays whole, and only there.
enum YAMLPastedText {
    /// `text`, as it stands behind `opening`, is one value that ends where the text ends. `expected` is what it must read as
    /// when it runs over several lines.
    static func isValue(_ text: String, behind opening: String, indent: Int, of expected: String) -> Bool {
        let document = String(repeating: " ", count: indent) + opening + text
        let length = document.unicodeScalars.reversed().drop { $0.properties.isWhitespace }.count
        var parser = YAMLParser(Array(document.utf8), path: "")
        do throws(PropertyFormatError) {
            guard case .documentStart = try parser.next().kind else { return false }
            switch try parser.next().kind {
            case .mappingStart: guard case .scalar("k", _) = try parser.next().kind else { return false }
            case .sequenceStart: break
            default: return false
            }
            var depth = 0
            var end = 0
            repeat {
                let event = try parser.next()
                guard event.anchor == nil, event.tag == nil else { return false }
                switch event.kind {
                case .sequenceStart, .mappingStart: depth += 1
                case .collectionEnd: depth -= 1
                case .scalar(let value, _):
                    if depth == 0, text.contains("\n"), value != expected { return false }
                default: return false
                }
                guard depth >= 0, depth < 50 else { return false }
                end = event.end
            } while depth > 0
            guard case .collectionEnd = try parser.next().kind, case .documentEnd = try parser.next().kind,
                case .streamEnd = try parser.next().kind
            else { return false }
            // A comment would hide the rest of the value. A text without an end of its own, as an empty one, ends with the document.
            return end >= length || text.allSatisfy(\.isWhitespace)
        } catch {
            return false
        }
    }

    /// `text` is one key on one line, and neither null nor a merge key.
    static func isKey(_ text: String, indent: Int) -> Bool {
        guard !text.contains("\n") else { return false }
        var parser = YAMLParser(Array((String(repeating: " ", count: indent) + text + ": v").utf8), path: "")
        do throws(PropertyFormatError) {
            guard case .documentStart = try parser.next().kind, case .mappingStart = try parser.next().kind else { return false }
            let key = try parser.next()
            guard case .scalar(let name, let plain) = key.kind, key.anchor == nil, key.tag == nil else { return false }
            if plain, case .value? = try? YAMLScalar(name, plain: true, tag: nil) {} else if plain { return false }
            guard case .scalar("v", _) = try parser.next().kind, case .collectionEnd = try parser.next().kind,
                case .documentEnd = try parser.next().kind, case .streamEnd = try parser.next().kind
            else { return false }
            return true
        } catch {
            return false
        }
    }
}
