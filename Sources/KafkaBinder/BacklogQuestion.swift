import CRDKafka
import Streams
import Telemetry

/// The question how far groups are behind: for all of them together one request for the offsets of each group, one for members, and two for the
/// offsets of the topics, each of the last three once for each broker that has a part of the answer.
struct BacklogQuestion {
    private var asked: [(group: DestinationGroup, names: KafkaNames)] = []
    private var answers: [DestinationGroup: Result<Backlog, BinderError>] = [:]
    /// Where a group begins in a partition in which it has committed nothing: at the end, or with all that there is.
    private let startsAtEnd: Bool

    init(_ groups: Set<DestinationGroup>, _ configuration: KafkaConfiguration) {
        startsAtEnd = configuration.uncommitted == .latest
        for group in groups {
            do throws(BinderError) {
                asked.append((group, try KafkaNames(group.destination, group.group, configuration.groupNaming)))
            } catch { answers[group] = .failure(error) }
        }
    }

    init(_ names: KafkaNames, _ configuration: KafkaConfiguration) throws(BinderError) {
        self.init([DestinationGroup(try Destination(names.topic), try ConsumerGroup(names.group ?? ""))], configuration)
    }

    /// Of a single group.
    func ask(_ admin: KafkaAdmin) throws(BinderError) -> Backlog {
        var known = KnownPartitions()
        guard let answer = ask(admin, &known).values.first else { throw BinderError(.broken, "Kafka said nothing of the group") }
        return try answer.get()
    }

    /// Blocks.
    func ask(_ admin: KafkaAdmin, _ known: inout KnownPartitions) -> [DestinationGroup: Result<Backlog, BinderError>] {
        var answers = answers
        do throws(KafkaFailure) {
            try known.look(for: Set(asked.flatMap { [$0.names.topic, $0.names.retries] }), by: admin)
            let found = asked.filter { known[$0.names.topic] != nil }
            let committed = offsets(of: found.map(\.names), known, admin)
            let groups: [String] = Set(found.map(\.names.groupID)).sorted()
            let members = try admin.members(ofEach: groups)
            let all = found.flatMap { places(of: $0.names, known) }
            // The end comes last: what is committed is never beyond it.
            let first = try admin.offsets(.earliest, of: all)
            let end = try admin.offsets(.latest, of: all)
            for (group, names) in asked {
                guard known[names.topic] != nil else {
                    answers[group] = .failure(
                        BinderError(.invalid, "there is no topic \(names.topic) on Kafka; a publish or `prepare` makes it"))
                    continue
                }
                do throws(KafkaFailure) {
                    guard let offsets = try committed[names]?.get(), let members = try members[names.groupID]?.get() else {
                        throw KafkaFailure(RD_KAFKA_RESP_ERR__FAIL, "nothing was said of group \(names.groupID)")
                    }
                    answers[group] = .success(try backlog(names, offsets, first, end, members))
                } catch { answers[group] = .failure(error.binderError) }
            }
        } catch {
            // A topic that was removed or changed meanwhile may be the cause.
            known.forgetAll()
            for (group, _) in asked where answers[group] == nil { answers[group] = .failure(error.binderError) }
        }
        return answers
    }

    private func places(of names: KafkaNames, _ known: KnownPartitions) -> [TopicPartition] {
        [names.topic, names.retries].flatMap { topic in
            (0..<Int32(known[topic] ?? 0)).map { TopicPartition(topic: topic, partition: $0) }
        }
    }

    /// By one request for each group, whose topics share it; where it fails by one for each topic, so that one that may not be read hides no other.
    private func offsets(
        of all: [KafkaNames], _ known: KnownPartitions, _ admin: KafkaAdmin
    ) -> [KafkaNames: Result<[PartitionOffset], KafkaFailure>] {
        var answers: [KafkaNames: Result<[PartitionOffset], KafkaFailure>] = [:]
        for (group, names) in Dictionary(grouping: all, by: \.groupID) {
            do throws(KafkaFailure) {
                let offsets = try admin.committed(by: group, of: names.flatMap { places(of: $0, known) })
                let byTopic = Dictionary(grouping: offsets, by: \.place.topic)
                for one in names { answers[one] = .success((byTopic[one.topic] ?? []) + (byTopic[one.retries] ?? [])) }
            } catch {
                for one in names {
                    guard names.count > 1, !error.isTimeOut else {
                        answers[one] = .failure(error)
                        continue
                    }
                    do throws(KafkaFailure) { answers[one] = .success(try admin.committed(by: group, of: places(of: one, known))) } catch {
                        answers[one] = .failure(error)
                    }
                }
            }
        }
        return answers
    }

    /// Counts offsets: what compaction has removed, and marks of transactions, count as events.
    private func backlog(
        _ names: KafkaNames, _ committed: [PartitionOffset], _ first: [TopicPartition: Int64], _ end: [TopicPartition: Int64],
        _ members: [Set<TopicPartition>]
    ) throws(KafkaFailure) -> Backlog {
        let mine = Set(committed.map(\.place))
        let active = members.count { $0.isEmpty ? names.groupID != names.group : !$0.isDisjoint(with: mine) }
        guard active > 0 || committed.contains(where: { $0.offset >= 0 && $0.place.topic == names.topic }) else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR_INVALID_GROUP_ID, "there is no group \(names.group ?? "") of \(names.topic)")
        }
        var backlog = Backlog(ready: 0, inHand: 0, delayed: 0, members: active, published: 0, acknowledged: 0, partitions: 0)
        let now = Timestamp.now.milliseconds
        for one in committed {
            guard let low = first[one.place], let high = end[one.place] else {
                throw KafkaFailure(RD_KAFKA_RESP_ERR__NO_OFFSET, "no offsets of \(one.place.topic)")
            }
            // What retention took away is nobody's work.
            let at = one.offset < 0 && startsAtEnd ? high : max(one.offset, low)
            let notes = one.offset >= low ? OffsetNotes(base: one.offset, text: one.notes).count(now: now) : (0, 0, 0)
            let left = max(0, Int(max(0, high - at)) - notes.0)
            backlog.inHand = (backlog.inHand ?? 0) + min(notes.1, left)
            backlog.delayed = (backlog.delayed ?? 0) + min(notes.2, max(0, left - notes.1))
            backlog.ready += max(0, left - notes.1 - notes.2)
            guard one.place.topic == names.topic else { continue }
            backlog.partitions = (backlog.partitions ?? 0) + 1
            backlog.published = backlog.published.map { $0 + Int(high) }
            // The first commit of a partition is no work that was done.
            backlog.acknowledged = one.offset < 0 ? nil : backlog.acknowledged.map { $0 + Int(one.offset) + notes.0 }
            backlog.progress.append(PartitionProgress(partition: "\(one.place.partition)", committed: Int(at) + notes.0, backlog: left))
        }
        return backlog
    }
}

extension KafkaFailure {
    fileprivate var isTimeOut: Bool { [RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT].contains(code) }
}
