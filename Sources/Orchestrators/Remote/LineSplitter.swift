/// Cuts a stream into its lines; empty ones are left out.
struct LineSplitter {
    private var rest: [UInt8] = []
    /// A longer line is an error of the stream.
    private let limit: Int

    struct LineTooLong: Error {}

    init(limit: Int = 16 << 20) { self.limit = limit }

    mutating func feed(_ bytes: [UInt8]) throws(LineTooLong) -> [[UInt8]] {
        rest += bytes
        guard bytes.contains(10) else {
            guard rest.count <= limit else { throw LineTooLong() }
            return []
        }
        var lines = rest.split(separator: 10, omittingEmptySubsequences: false)
        let last = lines.removeLast()
        rest = Array(last)
        return lines.filter { $0.contains { $0 > 32 } }.map(Array.init)
    }
}
