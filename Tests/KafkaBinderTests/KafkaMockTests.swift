import CRDKafka
import Streams
import TestSupport
import Testing

@testable import KafkaBinder

/// The library's own cluster of brokers that answer as they are told: for errors that a real broker cannot be brought to.
private final class MockCluster: @unchecked Sendable {  // its functions may be called from any thread
    private let client: OpaquePointer
    let raw: OpaquePointer
    let configuration: KafkaConfiguration

    init(topic: Destination, partitions: Int32 = 1) throws {
        var text = [CChar](repeating: 0, count: 256)
        let client = try #require(rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), &text, text.count))
        self.client = client
        raw = try #require(rd_kafka_mock_cluster_new(client, 1))
        rd_kafka_mock_topic_create(raw, topic.name, partitions, 1)
        let bootstrap = String(cString: rd_kafka_mock_cluster_bootstraps(raw))
        var configuration = try KafkaConfiguration(uri: "kafka://\(bootstrap)")
        // It knows no orders to create topics, and no groups that are described.
        configuration.createsTopics = false
        configuration.backOff = .milliseconds(20)
        configuration.requestLimit = .seconds(5)
        configuration.publishLimit = .seconds(20)
        self.configuration = configuration
    }

    deinit {
        rd_kafka_mock_cluster_destroy(raw)
        rd_kafka_destroy(client)
    }

    /// The next requests of a kind are answered with these errors.
    func inject(_ request: Int16, _ errors: [rd_kafka_resp_err_t]) {
        var errors = errors
        rd_kafka_mock_push_request_errors_array(raw, request, errors.count, &errors)
    }

    static let produce: Int16 = 0
    static let fetch: Int16 = 1
}

@Suite(.timeLimit(.minutes(2))) struct KafkaMockTests {
    private func texts(_ count: Int, of destination: Destination, by binder: KafkaBinder) async throws -> [String] {
        try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(start: .earliest)) { deliveries in
            var texts: [String] = []
            while texts.count < count, let delivery = try await deliveries.next() {
                texts.append(String(decoding: delivery.envelope.payload, as: UTF8.self))
                try await delivery.accept()
            }
            return texts
        }
    }

    @Test func `errors that pass are tried again by the client, and every event is written once and in order`() async throws {
        let destination = try fresh()
        let cluster = try MockCluster(topic: destination)
        try await running(KafkaBinder(configuration: cluster.configuration)) { binder in
            cluster.inject(
                MockCluster.produce,
                [RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT])
            for number in 0..<20 { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) }
            #expect(try await texts(20, of: destination, by: binder) == (0..<20).map(String.init))
        }
    }

    @Test(arguments: [
        (RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, BinderError.Code.tooLarge), (RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, .refused),
        (RD_KAFKA_RESP_ERR_INVALID_RECORD, .rejected),
    ]) func `errors that stay are told as what they are, and the next event goes through`(
        _ error: rd_kafka_resp_err_t, _ code: BinderError.Code
    ) async throws {
        let destination = try fresh()
        let cluster = try MockCluster(topic: destination)
        try await running(KafkaBinder(configuration: cluster.configuration)) { binder in
            _ = try await binder.publish(Envelope(text: "first"), to: destination)
            cluster.inject(MockCluster.produce, [error])
            let thrown = await #expect(throws: BinderError.self) { try await binder.publish(Envelope(text: "bad"), to: destination) }
            #expect(thrown?.code == code)
            try await eventually(within: .seconds(20), "the next event") {
                (try? await binder.publish(Envelope(text: "next"), to: destination)) != nil
            }
        }
    }

    @Test func `errors of fetches interrupt nothing for good`() async throws {
        let destination = try fresh()
        let cluster = try MockCluster(topic: destination)
        try await running(KafkaBinder(configuration: cluster.configuration)) { binder in
            for number in 0..<5 { _ = try await binder.publish(Envelope(text: "\(number)"), to: destination) }
            cluster.inject(
                MockCluster.fetch,
                [RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT])
            #expect(try await texts(5, of: destination, by: binder) == (0..<5).map(String.init))
        }
    }

    @Test func `a broker that is down is told with its address, and its return ends the wait`() async throws {
        let destination = try fresh()
        let cluster = try MockCluster(topic: destination)
        try await running(KafkaBinder(configuration: cluster.configuration)) { binder in
            _ = try await binder.publish(Envelope(text: "before"), to: destination)
            rd_kafka_mock_broker_set_down(cluster.raw, 1)
            let publish = Task { try await binder.publish(Envelope(text: "meanwhile"), to: destination) }
            try await eventually(within: .seconds(20), "a reason") {
                if case .waiting(let reason) = binder.readiness {
                    reason.contains("127.0.0.1") || reason.contains("brokers")
                } else {
                    false
                }
            }
            rd_kafka_mock_broker_set_up(cluster.raw, 1)
            _ = try await publish.value
            try await eventually(within: .seconds(20), "ready") { binder.readiness.isReady }
        }
    }
}
