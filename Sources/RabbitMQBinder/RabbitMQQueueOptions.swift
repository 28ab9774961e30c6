import Streams

/// How the exchange and the queues of a destination are declared, in the terms of Spring's binder.
///
/// A queue that exists with other arguments is a conflict: RabbitMQ changes none afterwards.
package struct RabbitMQQueueOptions: Sendable, Hashable {
    package enum ExchangeType: String, Sendable, Hashable { case topic, direct, fanout, headers }

    package var exchangeType = ExchangeType.topic
    /// Off where somebody else declares it: then it must be there.
    package var declaresExchange = true
    /// Off where somebody else binds the queues.
    package var bindsQueue = true
    /// What an event is published with; nil: the destination's name. The partition's number is added behind a dash.
    package var routingKey: String?
    /// What queues are bound with; empty: `#`, or the destination's name where there are partitions. The partition's number is added.
    package var bindingRoutingKeys: [String] = []
    /// A group's queue is called as the group alone, whatever the destination.
    package var isNamedByGroup = false
    package var limits = RabbitMQQueueLimits()
    package var deadLetters = DeadLetters()

    package struct DeadLetters: Sendable, Hashable {
        /// Nil: `DLX` with the prefix in front.
        package var exchange: String?
        /// Nil: the group's queue with `.dlq` behind.
        package var queue: String?
        /// Nil: the name of the queue that the event was in.
        package var routingKey: String?
        package var limits = RabbitMQQueueLimits()
        package init() {}
    }

    package init() {}

    func bindingKeys(of destination: Destination, partition: Int?) -> [String] {
        guard bindsQueue else { return [] }
        guard let partition else { return bindingRoutingKeys.isEmpty ? ["#"] : bindingRoutingKeys }
        return (bindingRoutingKeys.isEmpty ? [destination.name] : bindingRoutingKeys).map { "\($0)-\(partition)" }
    }
}

/// What a queue may hold and how, as arguments of its declaration.
package struct RabbitMQQueueLimits: Sendable, Hashable {
    package enum Overflow: String, Sendable, Hashable, CaseIterable {
        case dropHead = "drop-head"
        case rejectPublish = "reject-publish"
        case rejectPublishDLX = "reject-publish-dlx"
    }
    package struct Quorum: Sendable, Hashable {
        /// How often an event may come back before the broker drops it or makes it a dead letter.
        package var deliveryLimit: Int?
        package var initialGroupSize: Int?
        package init(deliveryLimit: Int? = nil, initialGroupSize: Int? = nil) {
            self.deliveryLimit = deliveryLimit
            self.initialGroupSize = initialGroupSize
        }
    }

    /// How long an event may wait.
    package var timeToLive: Duration?
    /// The queue goes when nobody has used it for so long.
    package var expires: Duration?
    package var maxLength: Int?
    package var maxBytes: Int?
    /// Events carry theirs in the header `priority`.
    package var maxPriority: Int?
    package var overflow: Overflow?
    package var isLazy = false
    /// One member gets everything, the next one when it goes.
    package var isSingleActive = false
    /// Nil: a classic queue.
    package var quorum: Quorum?

    package init() {}

    var arguments: [(name: String, value: HeaderValue)] {
        var arguments = argumentsOfAnonymous
        if isSingleActive { arguments.append(("x-single-active-consumer", true)) }
        if let quorum {
            arguments.append(("x-queue-type", "quorum"))
            if let limit = quorum.deliveryLimit { arguments.append(("x-delivery-limit", .integer(Int64(limit)))) }
            if let size = quorum.initialGroupSize { arguments.append(("x-quorum-initial-group-size", .integer(Int64(size)))) }
        }
        return arguments
    }

    /// A quorum queue cannot be exclusive, and an exclusive one has one consumer anyway.
    var argumentsOfAnonymous: [(name: String, value: HeaderValue)] {
        var arguments: [(name: String, value: HeaderValue)] = []
        if let timeToLive { arguments.append(("x-message-ttl", .integer(Int64(timeToLive.milliseconds)))) }
        if let expires { arguments.append(("x-expires", .integer(Int64(max(1, expires.milliseconds))))) }
        if let maxLength { arguments.append(("x-max-length", .integer(Int64(maxLength)))) }
        if let maxBytes { arguments.append(("x-max-length-bytes", .integer(Int64(maxBytes)))) }
        if let maxPriority { arguments.append(("x-max-priority", .integer(Int64(maxPriority)))) }
        if let overflow { arguments.append(("x-overflow", .string(overflow.rawValue))) }
        if isLazy { arguments.append(("x-queue-mode", "lazy")) }
        return arguments
    }

    /// One argument by RabbitMQ's own name without `x-`, as text. False for a name that is none; throws for a value that cannot be.
    mutating func set(_ name: String, _ text: String) throws(BinderError) -> Bool {
        func wrong(_ what: String) -> BinderError {
            BinderError(.invalid, "\(name) of a RabbitMQ queue is \(what), not \(text.prefix(40))")
        }
        func number(_ range: ClosedRange<Int>) throws(BinderError) -> Int {
            guard let number = Int(text), range.contains(number) else {
                throw wrong("a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        let most = Int(Int32.max)
        switch name {
        case "message-ttl": timeToLive = .milliseconds(try number(0...most))
        case "expires": expires = .milliseconds(try number(1...most))
        case "max-length": maxLength = try number(0...most)
        case "max-length-bytes": maxBytes = try number(0...Int.max)
        case "max-priority": maxPriority = try number(1...255)
        case "overflow":
            guard let value = Overflow(rawValue: text) else {
                throw wrong(Overflow.allCases.map(\.rawValue).joined(separator: ", "))
            }
            overflow = value
        case "queue-mode":
            guard ["lazy", "default"].contains(text) else { throw wrong("lazy or default") }
            isLazy = text == "lazy"
        case "single-active-consumer":
            guard ["true", "false"].contains(text) else { throw wrong("true or false") }
            isSingleActive = text == "true"
        case "queue-type":
            guard ["quorum", "classic"].contains(text) else { throw wrong("quorum or classic") }
            quorum = text == "quorum" ? quorum ?? Quorum() : nil
        case "delivery-limit":
            let limit = try number(1...most)
            quorum = Quorum(deliveryLimit: limit, initialGroupSize: quorum?.initialGroupSize)
        default: return false
        }
        return true
    }
}
