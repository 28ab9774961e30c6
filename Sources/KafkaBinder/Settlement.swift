import Streams
import Telemetry

/// How one delivery from Kafka ends.
///
/// An acceptance moves what the group has done; the broker is told of many at once. A retry stays in this process: Kafka has no place for it that
/// would not be read by others, and the notes beside the committed offset tell the next member of it. A dead letter is a copy, confirmed before
/// the original counts as done: nothing is lost when the process dies in between, at the cost of a duplicate.
struct Settlement: DeliverySettlement {
    let subscription: Subscription
    let fetched: FetchedRecord
    let epoch: UInt64
    let attempt: Int

    func abandon() { try? subscription.retry(fetched, epoch, after: .zero) }  // what is no longer ours comes again by itself

    func release() { try? subscription.retry(fetched, epoch, after: .zero, counting: false) }

    func settle(_ outcome: DeliveryOutcome) async throws(BinderError) {
        switch outcome {
        case .accept: try subscription.accept(fetched.place, fetched.record.offset, epoch)
        case .retry(let delay): try subscription.retry(fetched, epoch, after: delay)
        case .reject(let reason):
            guard subscription.group != nil, subscription.options.deadLetters else {
                subscription.metrics.count(
                    "carillon_rejected_dropped_total", ["destination": subscription.names.topic],
                    help: "Rejected deliveries that no dead-letter queue keeps.")
                subscription.log.warning(
                    "a rejected event is dropped: its subscription keeps no dead letters",
                    ["destination": subscription.names.topic, "id": fetched.envelope.id])
                try subscription.accept(fetched.place, fetched.record.offset, epoch)
                return
            }
            do throws(BinderError) {
                try await bury(reason)
            } catch {
                abandon()
                throw error
            }
            try subscription.accept(fetched.place, fetched.record.offset, epoch)
            subscription.metrics.count(
                "carillon_dead_letters_total", ["destination": subscription.names.topic],
                help: "Rejected deliveries that were kept as dead letters.")
        }
    }

    private func bury(_ reason: FailureReason) async throws(BinderError) {
        let record = fetched.record
        let headers = DeadLetterHeaders.headers(
            of: record, reason: reason, attempt: attempt, room: subscription.configuration.largestPayload + 40_000)
        // The partition of the same number, as Spring does; where the topic has fewer, any.
        var copy = OutgoingRecord(
            topic: subscription.names.deadLetters, partition: record.partition, key: record.key, value: record.value, headers: headers,
            pending: PendingRecord(limit: subscription.configuration.publishLimit))
        do throws(BinderError) {
            _ = try await subscription.producer.send(copy)
        } catch {
            guard error.code == .invalid else { throw error }
            copy = OutgoingRecord(
                topic: subscription.names.deadLetters, partition: nil, key: record.key, value: record.value, headers: headers,
                pending: PendingRecord(limit: subscription.configuration.publishLimit))
            _ = try await subscription.producer.send(copy)
        }
    }
}
