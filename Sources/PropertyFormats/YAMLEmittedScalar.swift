internal import ConfigModel
internal import Crypto

/// A scalar as it goes into a YAML document.
struct YAMLEmittedScalar {
    enum Style {
        case plain
        case literal
        case singleQuoted
        case doubleQuoted
    }

    /// UTF-16, since SnakeYAML counts columns and lengths in those.
    let text: [UInt16]
    /// Whether a reader takes the text for what it is when it stands without quotes and tag.
    var isPlainClear: Bool
    /// The same when it stands in quotes.
    var isQuotedClear: Bool
    let wish: Style
    let tag: String?
    let analysis: YAMLTextAnalysis

    init(_ value: PropertyValue?) {
        switch value {
        case .string(let text): self.init(text)
        case .binary(let bytes): self.init(binary: bytes)
        case .double(let number) where number.isNaN: self.init(typed: ".NaN")
        case .double(let number) where number.isInfinite: self.init(typed: number < 0 ? "-.inf" : ".inf")
        case .timestamp(let milliseconds):
            let time = ISOTime(milliseconds: milliseconds)
            let fraction = time.millisecond > 0 ? "." + ISOTime.padded(time.millisecond, 3) : ""
            self.init(typed: "\(time.date)T\(time.time)\(fraction)Z")
        case .integer, .double, .boolean: self.init(typed: value?.text ?? "")
        case nil: self.init(typed: "null")
        }
    }

    /// A text; one with characters that may not stand in YAML becomes `!!binary`.
    init(_ text: String) {
        guard text.unicodeScalars.allSatisfy(YAMLTextAnalysis.isPrintable) else {
            self.init(binary: Array(text.utf8))
            return
        }
        let units = Array(text.utf16)
        let wish: Style = units.contains(where: YAMLTextAnalysis.isLineBreak) ? .literal : .plain
        self.init(units, isPlainClear: YAMLScalar.isString(text), isQuotedClear: true, wish: wish, tag: nil)
    }

    private init(binary bytes: [UInt8]) {
        self.init(Array(Base64.encode(bytes).utf16), isPlainClear: false, isQuotedClear: false, wish: .literal, tag: "!!binary")
    }

    private init(typed text: String) {
        self.init(Array(text.utf16), isPlainClear: true, isQuotedClear: false, wish: .plain, tag: nil)
    }

    private init(_ text: [UInt16], isPlainClear: Bool, isQuotedClear: Bool, wish: Style, tag: String?) {
        self.text = text
        self.isPlainClear = isPlainClear
        self.isQuotedClear = isQuotedClear
        self.wish = wish
        self.tag = tag
        analysis = YAMLTextAnalysis(text)
    }

    /// Short enough, not empty and on one line: it may stand before a colon.
    var isSimpleKey: Bool {
        // The length of the tag counts although it is not written: `!!str` has 5 characters.
        text.count + (tag?.utf16.count ?? 5) < 128 && !analysis.isEmpty && !analysis.isMultiline
    }

    func style(asSimpleKey: Bool) -> Style {
        if wish == .plain && isPlainClear && analysis.allowsPlain && !(asSimpleKey && (analysis.isEmpty || analysis.isMultiline)) {
            return .plain
        }
        if wish == .literal && !asSimpleKey && analysis.allowsBlock { return .literal }
        if wish == .plain && analysis.allowsSingleQuoted && !(asSimpleKey && analysis.isMultiline) { return .singleQuoted }
        return .doubleQuoted
    }

    /// The tag that must be written with `style`.
    func tag(for style: Style) -> String? {
        (style == .plain ? isPlainClear : isQuotedClear) ? nil : tag
    }
}
