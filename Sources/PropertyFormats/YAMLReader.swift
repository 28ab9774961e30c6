internal import ConfigModel

/// YAML documents → flat properties, as Spring Boot flattens what SnakeYAML reads.
struct YAMLReader: ~Copyable {
    private var parser: YAMLParser
    private let path: String
    private let options: PropertyFile.Options

    init(_ bytes: [UInt8], path: String, options: PropertyFile.Options) {
        parser = YAMLParser(bytes, path: path)
        self.path = path
        self.options = options
    }

    mutating func documents() throws(PropertyFormatError) -> [PropertyDocument] {
        var documents: [PropertyDocument] = []
        var budget = options.maximumExpandedSize
        while true {
            switch try parser.next().kind {
            case .streamEnd: return documents
            case .documentStart:
                let tree = try YAMLTree(&parser, path: path, maximumDepth: options.maximumDepth)
                var flattening = YAMLFlattening(tree, path: path, budget: budget, maximumDepth: 2 * options.maximumDepth + 2)
                if let document = try flattening.document() { documents.append(document) }
                budget = flattening.budget
            default: throw PropertyFormatError(path: path, reason: "not readable as YAML")
            }
        }
    }
}
