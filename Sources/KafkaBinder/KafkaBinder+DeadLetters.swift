package import Streams

/// Replayed letters go to a topic of their own, `retry.<topic>.<group>`, that only members of ours in this group read: neither other groups nor
/// Spring applications see an event twice.
extension KafkaBinder: DeadLetterKeeping {
    package func deadLetters(of destination: Destination, group: ConsumerGroup, limit: Int) async throws(BinderError) -> [DeadLetter] {
        let names = try KafkaNames(destination, group, configuration.groupNaming)
        return try await ask { [configuration] admin throws(BinderError) in
            let topic = DeadLetterTopic(names: names, configuration: configuration, admin: admin)
            return try topic.read().prefix(max(0, limit)).map { topic.form.view($0) }
        }
    }

    package func replay(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        let names = try KafkaNames(destination, group, configuration.groupNaming)
        return try await remove(ids, names) { [self] form, letters async throws(BinderError) in
            guard !letters.isEmpty else { return }
            try await ask { [configuration] admin throws(BinderError) in
                do throws(KafkaFailure) {
                    let count = try admin.partitions(of: names.topic) ?? configuration.defaultPartitions
                    try admin.provide(names.retries, partitions: count)
                } catch { throw error.binderError }
            }
            // One after the other: they keep their order.
            for letter in letters { _ = try await producer.send(form.replay(letter)) }
            lookAgain()
        }
    }

    package func drop(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        let names = try KafkaNames(destination, group, configuration.groupNaming)
        return try await remove(ids, names) { _, _ in }
    }

    /// Takes letters out of the topic after `first` has done what is to be done with them; those between them are written again before.
    private func remove(
        _ ids: [String]?, _ names: KafkaNames,
        first: (DeadLetterForm, [DeadLetterForm.Letter]) async throws(BinderError) -> Void
    ) async throws(BinderError) -> Int {
        let form = DeadLetterForm(names: names, configuration: configuration)
        let all = try await ask { [configuration] admin throws(BinderError) in
            let topic = DeadLetterTopic(names: names, configuration: configuration, admin: admin)
            return try topic.read()
        }
        let wanted = ids.map(Set.init)
        let chosen = all.filter { wanted?.contains($0.id) ?? true }
        guard !chosen.isEmpty else { return 0 }
        try await first(form, chosen)
        let (kept, below) = DeadLetterForm.removal(of: chosen, among: all, topic: names.deadLetters)
        for letter in kept { _ = try await producer.send(form.copy(letter)) }
        try await ask { admin throws(BinderError) in
            do throws(KafkaFailure) { try admin.deleteRecords(below: below) } catch { throw error.binderError }
        }
        return chosen.count
    }
}
