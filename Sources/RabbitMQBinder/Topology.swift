import Streams

/// The names and arguments that Spring Cloud Stream gives to what it declares for a group.
struct QueueTopology: Hashable, Sendable {
    let exchange: String
    let queue: String
    /// The queue's name without the partition's number: partitions share their dead letters.
    let base: String
    let routingKeys: [String]
    let deadLetters: Bool
    let deadLetterExchange: String
    let deadLetterQueue: String
    /// What a dead letter is published with.
    let deadLetterRoutingKey: String
    private let options: RabbitMQQueueOptions

    init(
        destination: Destination, group: ConsumerGroup, partition: Int?, deadLetters: Bool, configuration: RabbitMQConfiguration
    ) {
        let prefix = configuration.prefix
        options = configuration.queueOptions(of: destination)
        exchange = configuration.exchange(of: destination)
        base = options.isNamedByGroup ? "\(prefix)\(group.name)" : "\(prefix)\(destination.name).\(group.name)"
        queue = partition.map { [base] in "\(base)-\($0)" } ?? base
        routingKeys = options.bindingKeys(of: destination, partition: partition)
        self.deadLetters = deadLetters
        deadLetterExchange = options.deadLetters.exchange ?? prefix + "DLX"
        deadLetterQueue = options.deadLetters.queue ?? base + ".dlq"
        deadLetterRoutingKey = options.deadLetters.routingKey ?? queue
    }

    /// One for each partition where the destination has some.
    static func all(of destination: Destination, group: ConsumerGroup, _ configuration: RabbitMQConfiguration) -> [QueueTopology] {
        let count = configuration.partitions[destination.name].map { max(1, $0) }
        let numbers: [Int?] = count.map { (0..<$0).map { $0 } } ?? [nil]
        return numbers.map {
            QueueTopology(destination: destination, group: group, partition: $0, deadLetters: true, configuration: configuration)
        }
    }

    var arguments: [(name: String, value: HeaderValue)] {
        guard deadLetters else { return options.limits.arguments }
        return [
            ("x-dead-letter-exchange", .string(deadLetterExchange)), ("x-dead-letter-routing-key", .string(deadLetterRoutingKey)),
        ] + options.limits.arguments
    }

    var exchangeDeclaration: Declaration? { options.declaresExchange ? .exchange(exchange, options.exchangeType) : nil }

    /// The queue that a dead letter came from, by its routing key.
    func origin(ofLetterBy routingKey: String) -> String { options.deadLetters.routingKey == nil ? routingKey : base }

    /// `<destination>.anonymous.<22 characters of base64url>`: fresh for each connection, because a broker may still hold the old one locked.
    static func anonymousName(exchange: String, using generator: inout some RandomNumberGenerator) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        // 128 random bits are 21 characters of 6 bits and one of 2.
        var text: [UInt8] = (0..<21).map { _ in alphabet[Int.random(in: 0..<64, using: &generator)] }
        text.append(alphabet[Int.random(in: 0..<4, using: &generator) * 16])
        return "\(exchange).anonymous.\(String(decoding: text, as: UTF8.self))"
    }
}

/// Something that must exist on the broker before a message is sent.
enum Declaration: Hashable, Sendable {
    case exchange(String, RabbitMQQueueOptions.ExchangeType)
    case group(QueueTopology)
    /// What keeps the group's rejected messages.
    case deadLetters(QueueTopology)
    /// A queue that hands its messages to `queue` after `milliseconds`; the broker removes it when it was unused for a while.
    case delay(queue: String, milliseconds: Int, durable: Bool)

    /// How long one declaration holds; nil: as long as the connection.
    var lease: Duration? {
        guard case .delay(_, _, let durable) = self else { return nil }
        return durable ? .seconds(3600) : .seconds(30)
    }

    static func delayQueue(_ queue: String, milliseconds: Int) -> String { "\(queue).retry.\(milliseconds)" }

    func declare(on connection: AMQPConnection) throws(AMQPFailure) {
        switch self {
        case .exchange(let name, let type): try connection.declareExchange(name, type: type.rawValue)
        case .group(let topology): try topology.declare(on: connection, forMembers: false)
        case .deadLetters(let topology): try topology.declareDeadLetters(on: connection)
        case .delay(let queue, let milliseconds, let durable):
            let unused = Int64(milliseconds) + Int64((lease ?? .zero).milliseconds) * 2
            try connection.declareQueue(
                Self.delayQueue(queue, milliseconds: milliseconds), durable: durable,
                arguments: [
                    ("x-dead-letter-exchange", ""), ("x-dead-letter-routing-key", .string(queue)),
                    ("x-message-ttl", .integer(Int64(milliseconds))), ("x-expires", .integer(unused)),
                ])
        }
    }
}

extension QueueTopology {
    /// Declares exchange, queue and bindings; `passively` leaves the queue as it is found. `forMembers`: as a consumer does, which binds the
    /// dead letters of a partition by the group's name too; a producer that prepares a group does not.
    func declare(on connection: AMQPConnection, passively: Bool = false, forMembers: Bool = true) throws(AMQPFailure) {
        try exchangeDeclaration?.declare(on: connection)
        if deadLetters { try declareDeadLetters(on: connection, forMembers: forMembers) }
        try connection.declareQueue(queue, durable: true, passive: passively, arguments: passively ? [] : arguments)
        for key in routingKeys { try connection.bind(queue: queue, to: exchange, routingKey: key) }
    }

    func declareDeadLetters(on connection: AMQPConnection, forMembers: Bool = true) throws(AMQPFailure) {
        try connection.declareExchange(deadLetterExchange, type: "direct")
        try connection.declareQueue(deadLetterQueue, durable: true, arguments: options.deadLetters.limits.arguments)
        try connection.bind(queue: deadLetterQueue, to: deadLetterExchange, routingKey: deadLetterRoutingKey)
        if base != deadLetterRoutingKey, forMembers {
            try connection.bind(queue: deadLetterQueue, to: deadLetterExchange, routingKey: base)
        }
    }
}

/// Delays in steps, so that their number on the broker is bounded: two significant digits of milliseconds, rounded up.
enum DelayStep {
    /// Nil for no delay.
    static func milliseconds(for delay: Duration) -> Int? {
        let exact = min(delay.milliseconds, 0x7FFF_FFFF - 1)  // the broker takes 32 bits
        guard exact > 0 else { return nil }
        var unit = 10
        while exact > unit * 100 { unit *= 10 }
        return (exact + unit - 1) / unit * unit
    }
}
