internal import ConfigModel

/// Writes YAML in the block style of SnakeYAML, byte for byte: indent 2, lists at the indent of their key, folded past 80 columns.
struct YAMLEmitter {
    /// UTF-16 units: columns are counted in those.
    var output: [UInt16] = []
    var column = 0
    var isAfterWhitespace = true
    var isIndention = true
    /// Nil before the first collection.
    var indent: Int?
    private let resolution: FlatPlaceholders?

    private static let width = 80

    /// With `resolution` each scalar is written with its placeholders replaced.
    init(resolution: FlatPlaceholders? = nil) {
        self.resolution = resolution
    }

    /// The document with `node` as its root.
    static func document(_ node: FlatTree.Node, resolution: FlatPlaceholders?) throws(PlaceholderError) -> String {
        var emitter = YAMLEmitter(resolution: resolution)
        try emitter.write(node, inMapping: false)
        return emitter.finish()
    }

    /// The document of one scalar that is a text whatever its type was, as the original writes a file that holds nothing else.
    static func document(textOf value: PropertyValue) -> String {
        var scalar = YAMLEmittedScalar(value)
        scalar.isPlainClear = YAMLScalar.isString(String(decoding: scalar.text, as: UTF16.self))
        scalar.isQuotedClear = true
        var emitter = YAMLEmitter()
        emitter.write(scalar, asSimpleKey: false)
        return emitter.finish()
    }

    private mutating func finish() -> String {
        writeIndent()
        return String(decoding: output, as: UTF16.self)
    }

    private mutating func write(_ node: FlatTree.Node, inMapping: Bool) throws(PlaceholderError) {
        switch node {
        case .null: write(YAMLEmittedScalar(nil), asSimpleKey: false)
        case .value(let value): try writeValue(value, opening: inMapping ? "k:" : "-")
        case .list(let list):
            let outer = indent
            increaseIndent(isFlow: false, isIndentless: inMapping && !isIndention)
            for item in list.items {
                writeIndent()
                indicator("-", needsSpace: true, isIndention: true)
                try write(item, inMapping: false)
            }
            indent = outer
        case .map(let map):
            guard !map.entries.isEmpty else {
                indicator("{", needsSpace: true)
                indicator("}", needsSpace: false)
                return
            }
            let outer = indent
            increaseIndent(isFlow: false, isIndentless: false)
            var keys = KeyNames(map)
            for entry in map.entries { try writeEntry(entry.key, entry.node, &keys) }
            indent = outer
        }
    }

    private mutating func writeEntry(_ key: String, _ node: FlatTree.Node, _ keys: inout KeyNames) throws(PlaceholderError) {
        writeIndent()
        let scalar = YAMLEmittedScalar(key)
        let isSimple = scalar.isSimpleKey
        if !isSimple { indicator("?", needsSpace: true, isIndention: true) }
        let before = self
        write(scalar, asSimpleKey: isSimple)
        if let resolution, let resolved = try keys.resolved(key, resolution) {
            let pasted = try resolution.resolve(written(since: before))
            if isSimple && YAMLPastedText.isKey(pasted, indent: indent ?? 0) {
                replace(since: before, by: pasted)
            } else {
                self = before
                let scalar = YAMLEmittedScalar(resolved)
                if isSimple && !scalar.isSimpleKey {
                    indicator("?", needsSpace: true, isIndention: true)
                    write(scalar, asSimpleKey: false)
                    writeIndent()
                    indicator(":", needsSpace: true, isIndention: true)
                    return try write(node, inMapping: true)
                }
                write(scalar, asSimpleKey: isSimple)
            }
        }
        if isSimple {
            indicator(":", needsSpace: false)
        } else {
            writeIndent()
            indicator(":", needsSpace: true, isIndention: true)
        }
        try write(node, inMapping: true)
    }

    /// `opening`: what a value like this one stands behind, for trying out what was pasted.
    private mutating func writeValue(_ value: PropertyValue, opening: String) throws(PlaceholderError) {
        let before = self
        write(YAMLEmittedScalar(value), asSimpleKey: false)
        guard let resolution, case .string(let text) = value, FlatPlaceholders.mayHold(text) else { return }
        let written = written(since: before)
        let pasted = try resolution.resolve(written)
        guard pasted != written else { return }
        let resolved = try resolution.resolve(text)
        if YAMLPastedText.isValue(pasted, behind: opening, indent: indent ?? 0, of: resolved) {
            replace(since: before, by: pasted)
        } else {
            self = before
            write(YAMLEmittedScalar(resolved), asSimpleKey: false)
        }
    }

    private func written(since before: YAMLEmitter) -> String { String(decoding: output[before.output.count...], as: UTF16.self) }

    /// Columns and line ends stay those of the text with placeholders: the original folds before it resolves.
    private mutating func replace(since before: YAMLEmitter, by text: String) {
        output.replaceSubrange(before.output.count..., with: Array(text.utf16))
    }

    private mutating func write(_ scalar: YAMLEmittedScalar, asSimpleKey: Bool) {
        let style = scalar.style(asSimpleKey: asSimpleKey)
        if let tag = scalar.tag(for: style) { indicator(tag, needsSpace: true) }
        let outer = indent
        increaseIndent(isFlow: true, isIndentless: false)
        let folds = asSimpleKey ? nil : Self.width
        switch style {
        case .plain: writePlain(scalar.text, foldingAt: folds)
        case .literal: writeLiteral(scalar.text)
        case .singleQuoted: writeSingleQuoted(scalar.text, foldingAt: folds)
        case .doubleQuoted: writeDoubleQuoted(scalar.text, foldingAt: folds)
        }
        indent = outer
    }

    private mutating func increaseIndent(isFlow: Bool, isIndentless: Bool) {
        if let known = indent {
            if !isIndentless { indent = known + 2 }
        } else {
            indent = isFlow ? 2 : 0
        }
    }

    mutating func indicator(_ text: String, needsSpace: Bool, isIndention: Bool = false) {
        if !isAfterWhitespace && needsSpace { append([0x20]) }
        isAfterWhitespace = false
        self.isIndention = self.isIndention && isIndention
        append(Array(text.utf16)[...])
    }

    mutating func append(_ units: ArraySlice<UInt16>) {
        output += units
        column += units.count
    }

    mutating func writeIndent() {
        let target = indent ?? 0
        if !isIndention || column > target || (column == target && !isAfterWhitespace) { lineBreak(0x0A) }
        guard target > column else { return }
        isAfterWhitespace = true
        append(ArraySlice(repeating: 0x20, count: target - column))
    }

    mutating func lineBreak(_ unit: UInt16) {
        isAfterWhitespace = true
        isIndention = true
        column = 0
        output.append(unit)
    }
}

extension YAMLEmitter {
    /// Which keys a map will have: what placeholders make of one must not be the name of another.
    private struct KeyNames {
        private var names: Set<String>

        init(_ map: FlatTree.Map) { names = Set(map.entries.map(\.key)) }

        /// The key with its placeholders replaced; nil when there are none, or when the map has that key already.
        mutating func resolved(_ key: String, _ resolution: FlatPlaceholders) throws(PlaceholderError) -> String? {
            guard FlatPlaceholders.mayHold(key) else { return nil }
            let resolved = try resolution.resolve(key)
            return resolved != key && names.insert(resolved).inserted ? resolved : nil
        }
    }
}
