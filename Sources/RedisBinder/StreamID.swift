import Streams

/// The id of a stream's entry: milliseconds of the server's clock and a number within them.
struct StreamID: Hashable, Comparable, Sendable, CustomStringConvertible {
    var milliseconds: UInt64
    var number: UInt64

    init(_ milliseconds: UInt64, _ number: UInt64) {
        self.milliseconds = milliseconds
        self.number = number
    }

    static let zero = StreamID(0, 0)

    /// `1700000000000-3`, or without the number, which is then 0.
    init?(_ text: some Collection<UInt8>) {
        var part: UInt64 = 0
        var first: UInt64?
        var digits = 0
        for byte in text {
            if byte == UInt8(ascii: "-"), first == nil, digits > 0 {
                first = part
                part = 0
                digits = 0
                continue
            }
            guard byte >= 48, byte <= 57 else { return nil }
            let (tenfold, over) = part.multipliedReportingOverflow(by: 10)
            let (sum, carried) = tenfold.addingReportingOverflow(UInt64(byte - 48))
            if over || carried { return nil }
            part = sum
            digits += 1
        }
        guard digits > 0 else { return nil }
        if let first { self.init(first, part) } else { self.init(part, 0) }
    }

    /// Throws `.invalid` for what is no id.
    init(position text: String) throws(BinderError) {
        guard let id = StreamID(Array(text.utf8)) else {
            throw BinderError(.invalid, "\(text.prefix(60)) is no position in a Redis stream, such as 1700000000000-0")
        }
        self = id
    }

    static func < (left: StreamID, right: StreamID) -> Bool {
        (left.milliseconds, left.number) < (right.milliseconds, right.number)
    }

    /// The greatest id that is smaller.
    var before: StreamID {
        if number > 0 { return StreamID(milliseconds, number - 1) }
        return milliseconds > 0 ? StreamID(milliseconds - 1, .max) : self
    }

    var description: String {
        String(unsafeUninitializedCapacity: 41) { text in
            let end = Self.write(milliseconds, to: text, from: 0)
            text[end] = UInt8(ascii: "-")
            return Self.write(number, to: text, from: end + 1)
        }
    }

    /// Writes the decimal digits and returns where they end.
    private static func write(_ number: UInt64, to text: UnsafeMutableBufferPointer<UInt8>, from start: Int) -> Int {
        var digits = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        rest = number
        for index in stride(from: start + digits - 1, through: start, by: -1) {
            text[index] = UInt8(truncatingIfNeeded: rest % 10) + 48
            rest /= 10
        }
        return start + digits
    }
}
