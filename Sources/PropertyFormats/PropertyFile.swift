/// Reading of files that hold properties.
package enum PropertyFile {
    /// What a file is written in.
    package enum Format: Sendable, Hashable, CaseIterable {
        /// YAML 1.1; JSON is read as YAML, which contains it.
        case yaml
        /// Java's `.properties`.
        case properties
        /// Java's XML form of properties.
        case xml

        /// By the path's last extension, in lower case; nil when it is none of `yml`, `yaml`, `json`, `properties`, `xml`.
        package init?(path: String) {
            guard let dot = path.lastIndex(of: "."), !path[dot...].contains("/") else { return nil }
            switch path[path.index(after: dot)...] {
            case "yml", "yaml", "json": self = .yaml
            case "properties": self = .properties
            case "xml": self = .xml
            default: return nil
            }
        }
    }

    package struct Options: Sendable, Hashable {
        package enum Encoding: Sendable, Hashable {
            case latin1
            case utf8
        }
        /// How `.properties` are written: ISO-8859-1 as Java has it, unless told otherwise. A byte order mark is part of the first key then.
        package var propertiesEncoding: Encoding
        /// A longer file is refused.
        package var maximumSize: Int
        /// What keys and values may take together after aliases are followed: a small file can stand for a very large tree.
        package var maximumExpandedSize: Int
        /// Collections within collections.
        package var maximumDepth: Int

        package init(
            propertiesEncoding: Encoding = .latin1, maximumSize: Int = 16 << 20, maximumExpandedSize: Int = 64 << 20, maximumDepth: Int = 50
        ) {
            self.propertiesEncoding = propertiesEncoding
            self.maximumSize = maximumSize
            self.maximumExpandedSize = maximumExpandedSize
            self.maximumDepth = maximumDepth
        }
    }

    /// The documents of a file, first one first; the format is decided by the extension of `path`.
    ///
    /// Documents that hold nothing (`null`, only comments) are left out and are not counted.
    package static func parse(
        _ bytes: [UInt8], path: String, options: Options = Options()
    ) throws(PropertyFormatError) -> [PropertyDocument] {
        guard let format = Format(path: path) else {
            throw PropertyFormatError(
                path: path, reason: "not a file of properties: its name ends in none of .yml, .yaml, .json, .properties, .xml")
        }
        return try parse(bytes, as: format, path: path, options: options)
    }

    /// As `parse(_:path:options:)`, of a known format; `path` is only for messages.
    package static func parse(
        _ bytes: [UInt8], as format: Format, path: String, options: Options = Options()
    ) throws(PropertyFormatError) -> [PropertyDocument] {
        guard bytes.count <= options.maximumSize else {
            throw PropertyFormatError(
                path: path, reason: "the file has \(bytes.count) bytes, more than the limit of \(options.maximumSize)")
        }
        switch format {
        case .yaml:
            var reader = YAMLReader(bytes, path: path, options: options)
            return try reader.documents()
        case .properties:
            var reader = JavaPropertiesReader(bytes, path: path, encoding: options.propertiesEncoding)
            return try reader.documents()
        case .xml:
            var reader = XMLPropertiesReader(bytes, path: path)
            return [try reader.document()]
        }
    }
}
