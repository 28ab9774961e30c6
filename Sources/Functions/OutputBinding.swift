/// Where a function's results go.
public struct OutputBinding: Sendable, Hashable {
    /// Where the key of an event is found that has none of its own.
    public enum PartitionKey: Sendable, Hashable {
        case header(String)
        /// A JSON pointer into the payload: `/customer/id`.
        case payload(String)
    }

    public var destination: String
    /// The name of one of the settings' `binders`; nil: the default one.
    public var binder: String?
    /// Media type of results that name none; nil: `application/json`, for texts `text/plain`, for bytes `application/octet-stream`.
    public var contentType: String?
    /// How many partitions the destination has; the key chooses one.
    public var partitionCount = 1
    /// Nil: the event's own key, which is the input's unless the handler gives another.
    public var partitionKey: PartitionKey?
    /// Groups that exist on the broker from the start, so that they miss nothing that is sent before their first member comes.
    public var requiredGroups: [String] = []

    public init(_ destination: String) { self.destination = destination }
}
