extension OutputBinding.PartitionKey {
    /// The key in an envelope: a text, number or boolean as text. Nil where there is none.
    func key(of envelope: Envelope) -> String? {
        switch self {
        case .header(let name): envelope.headers[name]?.text
        case .payload(let pointer): (try? WireValue(envelope.payload)).flatMap { Self.resolve(pointer, in: $0) }.flatMap(Self.text)
        }
    }

    /// RFC 6901.
    private static func resolve(_ pointer: String, in whole: WireValue) -> WireValue? {
        var value = whole
        for token in pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            let name = token.replacing("~1", with: "/").replacing("~0", with: "~")
            switch value {
            case .object(let members):
                guard let member = members.last(where: { $0.name == name }) else { return nil }
                value = member.value
            case .array(let items):
                guard let index = Int(name), items.indices.contains(index) else { return nil }
                value = items[index]
            default: return nil
            }
        }
        return value
    }

    private static func text(_ value: WireValue) -> String? {
        switch value {
        case .string(let text): text
        case .integer(let number): String(number)
        case .double(let number): String(number)
        case .boolean(let flag): String(flag)
        case .null, .array, .object: nil
        }
    }
}
