/// The types of YAML 1.1 that a file may ask for with `!!`.
enum YAMLTag: String {
    case string = "str"
    case integer = "int"
    case float
    case boolean = "bool"
    case null
    case binary
    case timestamp
    case sequence = "seq"
    case mapping = "map"
    case set
    case orderedMapping = "omap"
    case merge

    /// Nil for any other tag: such a file asks for a type of its own, which nobody here can make.
    init?(uri: String) {
        let prefix = "tag:yaml.org,2002:"
        guard uri.hasPrefix(prefix) else { return nil }
        self.init(rawValue: String(uri.dropFirst(prefix.count)))
    }
}
