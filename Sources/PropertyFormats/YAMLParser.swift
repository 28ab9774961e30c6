internal import CYAML

/// libyaml's events, one after another. Owns the parser and the copy of the file that it reads from.
struct YAMLParser: ~Copyable {
    struct Event {
        enum Kind {
            case documentStart
            case documentEnd
            case streamEnd
            case alias(String)
            /// `plain`: written without quotes and without a tag, so that its text decides the type.
            case scalar(String, plain: Bool)
            case sequenceStart
            case mappingStart
            case collectionEnd
        }
        var kind: Kind
        var anchor: String?
        var tag: String?
        /// 1-based.
        var line: Int
        var column: Int
        /// Characters before its end.
        var end: Int
    }

    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>
    private let path: String

    init(_ bytes: [UInt8], path: String) {
        self.path = path
        input = .allocate(capacity: max(bytes.count, 1))
        _ = input.initialize(from: bytes)
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        // Fails only without memory for its buffers.
        precondition(yaml_parser_initialize(parser) == 1, "no memory for a YAML parser")
        yaml_parser_set_input_string(parser, input.baseAddress, bytes.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    /// The next event; after `streamEnd` nothing more may be asked.
    mutating func next() throws(PropertyFormatError) -> Event {
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else { throw failure() }
            defer { yaml_event_delete(&event) }
            let mark = event.start_mark
            var result = Event(kind: .streamEnd, line: mark.line + 1, column: mark.column + 1, end: event.end_mark.index)
            switch event.type {
            case YAML_STREAM_START_EVENT, YAML_NO_EVENT:
                continue
            case YAML_STREAM_END_EVENT:
                result.kind = .streamEnd
            case YAML_DOCUMENT_START_EVENT:
                result.kind = .documentStart
            case YAML_DOCUMENT_END_EVENT:
                result.kind = .documentEnd
            case YAML_ALIAS_EVENT:
                result.kind = .alias(Self.text(event.data.alias.anchor) ?? "")
            case YAML_SCALAR_EVENT:
                let scalar = event.data.scalar
                let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
                result.kind = .scalar(String(decoding: bytes, as: UTF8.self), plain: scalar.plain_implicit != 0)
                result.anchor = Self.text(scalar.anchor)
                result.tag = Self.text(scalar.tag)
            case YAML_SEQUENCE_START_EVENT:
                result.kind = .sequenceStart
                result.anchor = Self.text(event.data.sequence_start.anchor)
                result.tag = Self.text(event.data.sequence_start.tag)
            case YAML_MAPPING_START_EVENT:
                result.kind = .mappingStart
                result.anchor = Self.text(event.data.mapping_start.anchor)
                result.tag = Self.text(event.data.mapping_start.tag)
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
                result.kind = .collectionEnd
            default:
                throw PropertyFormatError(path: path, line: result.line, column: result.column, reason: "not readable as YAML")
            }
            return result
        }
    }

    private static func text(_ pointer: UnsafeMutablePointer<UInt8>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    /// libyaml's own words are fixed sentences: they hold nothing of the file.
    private func failure() -> PropertyFormatError {
        let reason = parser.pointee.problem.map { String(cString: $0) } ?? "not readable as YAML"
        switch parser.pointee.error {
        case YAML_READER_ERROR:
            let place = Self.place(of: parser.pointee.problem_offset, in: UnsafeBufferPointer(input))
            return PropertyFormatError(path: path, line: place.line, column: place.column, reason: reason)
        case YAML_MEMORY_ERROR:
            return PropertyFormatError(path: path, reason: "no memory to read the file")
        default:
            let mark = parser.pointee.problem_mark
            let context = parser.pointee.context.map { String(cString: $0) + ": " } ?? ""
            return PropertyFormatError(path: path, line: mark.line + 1, column: mark.column + 1, reason: context + reason)
        }
    }

    /// Line and column of a byte. Good for UTF-8; in UTF-16 the column counts bytes.
    private static func place(of offset: Int, in bytes: UnsafeBufferPointer<UInt8>) -> (line: Int, column: Int) {
        var line = 1
        var column = 1
        for byte in bytes.prefix(offset) {
            if byte == 0x0A {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return (line, column)
    }
}
