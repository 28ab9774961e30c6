import Streams

/// One message out of a batch, where it is copied alone.
struct BatchRecord: Sendable {
    /// The batch's for the first one: its properties are those of the first message. With the record's number behind it for the others.
    var id: String
    /// What is left of the batch's content encoding.
    var contentEncoding: String?
}

/// Several messages in one body, as Spring's batching template sends them: each with its length in four bytes in front.
enum SpringBatch {
    static let header = "springBatchFormat"
    static let format: HeaderValue = "lengthHeader4"
    /// Set by the same template where it compresses.
    static let decompressHeader = "springAutoDecompress"
    /// Spring's default is 100; a body of empty records must not become millions of deliveries.
    static let most = 65_536

    /// The records. Nil for a body that is no whole batch, or one of too many records.
    static func records(of body: [UInt8]) -> [[UInt8]]? {
        var records: [[UInt8]] = []
        var rest = body[...]
        while !rest.isEmpty {
            guard records.count < most, rest.count >= 4 else { return nil }
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard length <= rest.count else { return nil }
            records.append(Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return records.isEmpty ? nil : records
    }
}
