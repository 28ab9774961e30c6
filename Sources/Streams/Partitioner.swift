/// Gives each event of a partitioned destination the partition of its key, as Spring Cloud Stream does.
public struct Partitioner: Sendable, Hashable {
    /// The header that names the partition: Kafka's peers read it; on RabbitMQ the routing key says the same and the header stays off the wire.
    public static let header = "scst_partition"
    /// The header by which a publisher chooses a partition itself, whatever the key.
    public static let overrideHeader = "scst_partitionOverride"
    /// How many partitions the destination has.
    public let count: Int

    /// Throws `.invalid` for fewer than one.
    public init(count: Int) throws(BinderError) {
        guard count > 0 else { throw BinderError(.invalid, "a partitioned destination needs at least one partition, not \(count)") }
        self.count = count
    }

    /// Throws `.invalid` for an event without a key: it would have no partition, and guessing one would break the order of its siblings; and for
    /// an override that names no partition.
    public func partition(of envelope: Envelope) throws(BinderError) -> Int {
        if let override = envelope.headers[Self.overrideHeader] {
            guard let number = override.integer, (0..<Int64(count)).contains(number) else {
                throw BinderError(.invalid, "\(Self.overrideHeader) must name one of the partitions 0 to \(count - 1)")
            }
            return Int(number)
        }
        guard let key = envelope.key else { throw BinderError(.invalid, "an event for a destination with \(count) partitions needs a key") }
        return Partitioning.partition(of: key, count: count)
    }

    /// The same envelope with its partition in the header.
    public func assigning(_ envelope: Envelope) throws(BinderError) -> Envelope {
        var envelope = envelope
        envelope.headers[Self.header] = .integer(Int64(try partition(of: envelope)))
        return envelope
    }
}
