import CRDKafka
package import Streams

/// With a destination go the topics of its groups' dead letters and retries. What a group has committed is forgotten by the brokers with the
/// topic; the group itself, whose name other destinations may share, in their own time.
extension KafkaBinder: DestinationRemoving {
    package func remove(_ destination: Destination) async throws(BinderError) {
        try await remove { topic in
            topic == destination.name || topic.hasPrefix("error.\(destination.name).") || topic.hasPrefix("retry.\(destination.name).")
        }
    }

    package func remove(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {
        let names = try KafkaNames(destination, group, configuration.groupNaming)
        try await remove { [names.deadLetters, names.retries].contains($0) }
    }

    private func remove(_ isMeant: @escaping @Sendable (String) -> Bool) async throws(BinderError) {
        try await ask { admin throws(BinderError) in
            do throws(KafkaFailure) { try admin.remove(try admin.topics().filter(isMeant)) } catch { throw error.binderError }
        }
    }
}

extension KafkaAdmin {
    /// All topics that there are.
    func topics() throws(KafkaFailure) -> [String] {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle.raw, 1, nil, &metadata, Int32(limit.milliseconds))
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { throw KafkaFailure(code, doing: "listing topics") }
        defer { rd_kafka_metadata_destroy(metadata) }
        return (0..<Int(metadata.pointee.topic_cnt)).compactMap { metadata.pointee.topics?[$0].topic.map { String(cString: $0) } }
    }

    /// Those that are gone already do not matter.
    func remove(_ topics: [String]) throws(KafkaFailure) {
        guard !topics.isEmpty else { return }
        var orders: [OpaquePointer?] = topics.map { rd_kafka_DeleteTopic_new($0) }
        defer { for case let one? in orders { rd_kafka_DeleteTopic_destroy(one) } }
        try request("removing topics", RD_KAFKA_ADMIN_OP_DELETETOPICS) { options, queue in
            rd_kafka_DeleteTopics(handle.raw, &orders, orders.count, options, queue)
        } read: { event throws(KafkaFailure) in
            var count = 0
            let results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count)
            for index in 0..<count {
                guard let result = results?[index] else { continue }
                let code = rd_kafka_topic_result_error(result)
                if code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART { continue }
                throw KafkaFailure(code, doing: "removing a topic")
            }
        }
    }
}
