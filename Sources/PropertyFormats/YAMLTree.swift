/// A document as nodes in one array; an alias is the index of the node that it names, so that a tree never grows beyond its file.
struct YAMLTree {
    struct Node {
        enum Content {
            case scalar(String, plain: Bool)
            case sequence([Int])
            case mapping([(key: Int, value: Int)])
        }
        var content: Content
        var tag: YAMLTag?
        var line: Int
        var column: Int
    }

    var nodes: [Node] = []
    var root: Int?

    /// Reads one document, whose start has been read, up to and with its end.
    init(_ parser: inout YAMLParser, path: String, maximumDepth: Int) throws(PropertyFormatError) {
        var anchors: [String: Int] = [:]
        var open: [Frame] = []

        while true {
            let event = try parser.next()
            func failure(_ reason: String) -> PropertyFormatError {
                PropertyFormatError(path: path, line: event.line, column: event.column, reason: reason)
            }
            var complete: Int
            switch event.kind {
            case .documentStart: throw failure("a document starts within a document")
            case .documentEnd, .streamEnd: return
            case .alias(let name):
                guard let target = anchors[name] else { throw failure("an alias names an anchor that is not defined before it") }
                guard !open.contains(where: { $0.node == target }) else { throw failure("an alias stands within the node that it names") }
                complete = target
            case .scalar(let text, let plain):
                complete = nodes.count
                nodes.append(
                    Node(
                        content: .scalar(text, plain: plain && event.tag == nil), tag: try Self.tag(event, path), line: event.line,
                        column: event.column))
                if let anchor = event.anchor { anchors[anchor] = complete }
            case .sequenceStart, .mappingStart:
                guard open.count < maximumDepth else { throw failure("nested deeper than \(maximumDepth) levels") }
                let isMapping = if case .mappingStart = event.kind { true } else { false }
                if let anchor = event.anchor { anchors[anchor] = nodes.count }
                open.append(Frame(node: nodes.count, isMapping: isMapping))
                nodes.append(
                    Node(
                        content: isMapping ? .mapping([]) : .sequence([]), tag: try Self.tag(event, path), line: event.line,
                        column: event.column))
                continue
            case .collectionEnd:
                guard let frame = open.popLast() else { throw failure("a collection ends that has not begun") }
                complete = frame.node
                nodes[complete].content = frame.isMapping ? .mapping(frame.entries) : .sequence(frame.items)
            }
            if open.isEmpty {
                root = complete
            } else {
                open[open.count - 1].add(complete)
            }
        }
    }

    private struct Frame {
        let node: Int
        let isMapping: Bool
        var items: [Int] = []
        var entries: [(key: Int, value: Int)] = []
        private var key: Int?

        init(node: Int, isMapping: Bool) {
            self.node = node
            self.isMapping = isMapping
        }

        mutating func add(_ child: Int) {
            if !isMapping {
                items.append(child)
            } else if let key {
                entries.append((key, child))
                self.key = nil
            } else {
                key = child
            }
        }
    }

    private static func tag(_ event: YAMLParser.Event, _ path: String) throws(PropertyFormatError) -> YAMLTag? {
        guard let uri = event.tag, uri != "!" else { return nil }
        guard let tag = YAMLTag(uri: uri) else {
            throw PropertyFormatError(
                path: path, line: event.line, column: event.column,
                reason: "a tag that is not known: only the types of YAML itself may be asked for (!!str, !!int, …)")
        }
        return tag
    }
}
