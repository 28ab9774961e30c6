internal import Lifecycle
internal import Streams

extension BinderCases {
    package static let partitions: [BinderCase] = [
        BinderCase("D3", "each member of a partition gets the events of its keys, all of them and in order", needs: .nativePartitions) {
            bench in
            let destination = try bench.destination()
            let binder = try await bench.demandVariant(bench.variants.partitioned, "nativePartitions")(destination, 3)
            try await BinderBench.withRunning(binder) {
                try await bench.withPartitions(0..<3, of: destination, by: binder) { collector in
                    try await bench.publishKeys(0..<90, to: destination, by: binder)
                    try await eventually(within: bench.patience, "90 deliveries") { collector.count >= 90 }
                    try bench.demandPartitions(collector.all, count: 3)
                    try demandEqual(collector.count, 90, "deliveries")
                    for key in 0..<9 {
                        let numbers = collector.all.filter { $0.envelope.key == "key-\(key)" }.compactMap { Int($0.text) }
                        try demandEqual(numbers, numbers.sorted(), "order of key-\(key)")
                    }
                }
            }
        },
        BinderCase(
            "D5", "a destination that gets more partitions loses nothing, and its new members get their keys", needs: .nativePartitions
        ) {
            bench in
            let destination = try bench.destination()
            let make = try bench.demandVariant(bench.variants.partitioned, "nativePartitions")
            let few = try await make(destination, 2)
            try await BinderBench.withRunning(few) {
                try await bench.withPartitions(0..<2, of: destination, by: few) { old in
                    try await bench.publishKeys(0..<40, to: destination, by: few)
                    try await eventually(within: bench.patience, "40 deliveries of 2 partitions") { old.count >= 40 }
                    try bench.demandPartitions(old.all, count: 2)
                    let many = try await make(destination, 4)
                    try await BinderBench.withRunning(many) {
                        try await bench.withPartitions(2..<4, of: destination, by: many) { new in
                            try await bench.publishKeys(40..<120, to: destination, by: many)
                            try await eventually(within: bench.patience, "80 deliveries of 4 partitions") { old.count + new.count >= 120 }
                            try bench.demandPartitions(new.all + old.all.filter { Int($0.text) ?? 0 >= 40 }, count: 4)
                            try demandEqual(Set((old.texts + new.texts).compactMap(Int.init)), Set(0..<120), "events")
                        }
                    }
                }
            }
        },
        BinderCase("D6", "a header can choose another partition than the key's", needs: .nativePartitions) { bench in
            let destination = try bench.destination()
            let binder = try await bench.demandVariant(bench.variants.partitioned, "nativePartitions")(destination, 3)
            try await BinderBench.withRunning(binder) {
                try await bench.withPartitions(0..<3, of: destination, by: binder) { collector in
                    for number in 0..<9 {
                        let envelope = Envelope(
                            text: "\(number)", headers: [Partitioner.overrideHeader: .integer(Int64(number % 3))], key: "one")
                        _ = try await binder.publish(envelope, to: destination)
                    }
                    try await eventually(within: bench.patience, "9 deliveries") { collector.count >= 9 }
                    for seen in collector.all { try demandEqual(seen.member, (Int(seen.text) ?? -1) % 3, "the partition of \(seen.text)") }
                }
            }
        },
    ]
}

extension BinderBench {
    /// Runs one member for each of these partitions, which accepts everything, while `body` runs; `Seen.member` is the partition.
    func withPartitions<R: Sendable>(
        _ partitions: Range<Int>, of destination: Destination, by binder: any Binder,
        _ body: @escaping @Sendable (Collector) async throws -> R
    ) async throws -> R {
        let collector = Collector()
        let ready = Counter()
        let failure = FirstFailure()
        let group = try group()
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            for partition in partitions {
                tasks.addTask {
                    let options = SubscriptionOptions(partition: partition) { if $0 == .ready { ready.add() } }
                    do {
                        try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                            while let delivery = try await deliveries.next() {
                                collector.add(Seen(envelope: delivery.envelope, attempt: delivery.attempt, member: partition))
                                try await delivery.accept()
                            }
                        }
                    } catch let error as BinderError where error.code == .cancelled {
                    } catch is CancellationError {} catch {
                        failure.keep(error)
                        throw error
                    }
                }
            }
            try await eventually(within: patience, "members of partitions \(partitions)") {
                try failure.check()
                return ready.value == partitions.count
            }
            let result = try await body(collector)
            tasks.cancelAll()
            try await tasks.waitForAll()
            return result
        }
    }

    /// Publishes each number with one of nine keys.
    func publishKeys(_ numbers: Range<Int>, to destination: Destination, by binder: any Binder) async throws {
        for number in numbers { _ = try await binder.publish(Envelope(text: "\(number)", key: "key-\(number % 9)"), to: destination) }
    }

    /// Each event came to the member of its key's partition.
    func demandPartitions(_ seen: [Seen], count: Int) throws {
        for one in seen {
            let key = one.envelope.key ?? ""
            try demandEqual(one.member, Partitioning.partition(of: key, count: count), "the partition of \(one.text) with \(key)")
        }
    }
}
