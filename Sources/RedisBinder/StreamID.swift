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
        var parts = [UInt64(0), 0]
        var index = 0
        var digits = 0
        for byte in text {
            if byte == UInt8(ascii: "-"), index == 0, digits > 0 {
                index = 1
                digits = 0
                continue
            }
            guard (48...57).contains(byte) else { return nil }
            let (tenfold, over) = parts[index].multipliedReportingOverflow(by: 10)
            let (sum, carried) = tenfold.addingReportingOverflow(UInt64(byte - 48))
            if over || carried { return nil }
            parts[index] = sum
            digits += 1
        }
        guard digits > 0 else { return nil }
        self.init(parts[0], parts[1])
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

    var description: String { "\(milliseconds)-\(number)" }
}
