import CRDKafka
import Streams

extension KafkaAdmin {
    /// Where each partition of a topic starts, and whether something before is gone.
    func offsets(
        at start: StartPosition, of topic: String, partitions: [Int32]
    ) throws(KafkaFailure) -> (offsets: [TopicPartition: Int64], gap: Bool) {
        let places = partitions.map { TopicPartition(topic: topic, partition: $0) }
        switch start {
        case .latest: return (try offsets(.latest, of: places), false)
        case .earliest: return (try offsets(.earliest, of: places), false)
        case .time(let time): return (try offsets(.time(time), of: places), false)
        case .after(let text):
            let position: KafkaPosition
            do throws(BinderError) { position = try KafkaPosition(text) } catch {
                throw KafkaFailure(RD_KAFKA_RESP_ERR__INVALID_ARG, error.message)
            }
            let low = try offsets(.earliest, of: places)
            let high = try offsets(.latest, of: places)
            var timed: [TopicPartition: Int64] = [:]
            if let time = position.time { timed = try offsets(.time(time), of: places) }
            var result: [TopicPartition: Int64] = [:]
            var gap = false
            for place in places {
                let (first, end) = (low[place] ?? 0, high[place] ?? 0)
                guard let seen = position.offsets[place.partition] else {
                    result[place] = timed[place] ?? first
                    continue
                }
                // Beyond the end: the topic was deleted and made again.
                let isGone = seen + 1 < first || seen + 1 > end
                result[place] = isGone ? first : seen + 1
                gap = gap || isGone
            }
            return (result, gap)
        }
    }

    enum GroupState: Sendable {
        /// The group has a position in the topic.
        case existing
        /// It has one now.
        case established
        /// It has none, and its members are busy with other topics: only a member can give it one.
        case active
    }

    /// Gives a group that is new to a topic its position there, so that it gets all that is published from now on.
    func establish(group: String, of topic: String, partitions: Int, start: StartPosition) throws(KafkaFailure) -> GroupState {
        let numbers = (0..<Int32(partitions)).map { $0 }
        let places = numbers.map { TopicPartition(topic: topic, partition: $0) }
        if try committed(by: group, of: places).contains(where: { $0.offset >= 0 }) { return .existing }
        let offsets = try offsets(at: start, of: topic, partitions: numbers).offsets
        do {
            try commit(places.map { PartitionOffset(place: $0, offset: offsets[$0] ?? 0) }, for: group)
            return .established
        } catch {
            switch error.code {
            case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
                return .active
            default: throw error
            }
        }
    }
}
