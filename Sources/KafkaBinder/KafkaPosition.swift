package import Streams

/// A place in a topic: for each partition the offset of the event that was seen last, -1 before the first. As text `0:12,1:7`, and
/// `0:12@1700000000000` where only one partition is known and the event's time must find the place in the others.
package struct KafkaPosition: Sendable, Hashable {
    package var offsets: [Int32: Int64]
    /// Milliseconds since 1970.
    package var time: Int64?

    package init(offsets: [Int32: Int64], time: Int64? = nil) {
        self.offsets = offsets
        self.time = time
    }

    /// Throws `.invalid` for any other text.
    package init(_ text: String) throws(BinderError) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        var offsets: [Int32: Int64] = [:]
        for pair in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
            let numbers = pair.split(separator: ":", omittingEmptySubsequences: false)
            guard numbers.count == 2, let partition = Int32(numbers[0]), partition >= 0, let offset = Int64(numbers[1]), offset >= -1,
                offset < .max
            else { throw BinderError(.invalid, "\(text.prefix(60)) is no position of Kafka such as 0:12,1:7") }
            offsets[partition] = offset
        }
        if parts.count == 2 {
            guard let time = Int64(parts[1]) else {
                throw BinderError(.invalid, "\(text.prefix(60)) is no position of Kafka such as 0:12,1:7")
            }
            self.time = time
        }
        self.offsets = offsets
    }

    package var text: String {
        var text =
            offsets.count == 1
            ? offsets.map { "\($0):\($1)" }[0] : offsets.sorted { $0.key < $1.key }.map { "\($0):\($1)" }.joined(separator: ",")
        if let time { text += "@\(time)" }
        return text
    }
}
