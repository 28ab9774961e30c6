internal import Autoscaler
internal import Foundation
internal import SQLite

extension LedgerFile {
    func images(in database: Database) throws -> [String: LedgerImage] {
        var images: [String: LedgerImage] = [:]
        var behind: [String: Int64] = [:]
        let latest = try database.statement(
            "SELECT policy, max(seq), behind, term, time, state, shadow FROM snapshots GROUP BY policy")
        while try latest.step() {
            // What another version of the program wrote is not known any more: the policy begins anew, behind its last number.
            guard let snapshot = self.snapshot(latest) else { continue }
            images[snapshot.policy] = LedgerImage(snapshot)
            behind[snapshot.policy] = latest.integer(2)
        }
        var records: [String: RecordList] = [:]
        try rows(behind: behind.values.min() ?? .max, in: database) { id, _, decisions, results in
            for record in decisions where id > behind[record.policy] ?? .max { records[record.policy, default: RecordList()].add(record) }
            for result in results { records[result.policy]?.results[result.seq] = result.text }
            return true
        }
        for (policy, list) in records {
            guard var image = images.removeValue(forKey: policy) else { continue }
            for record in list.records where record.seq > image.state.seq { _ = image.replay(record) }
            image.result = list.results[image.state.seq]
            images[policy] = image
        }
        let overrides = try database.statement("SELECT policy, kind, count, until FROM overrides")
        while try overrides.step() {
            guard let name = name(overrides.integer(0)) else { continue }
            images[name]?.override = Override(
                overrides.integer(1) == 0 ? .hold : .set(Int(overrides.integer(2))), until: overrides.real(3))
        }
        return images
    }

    private func name(_ number: Int64) -> String? {
        Int(exactly: number).flatMap { names.indices.contains($0 - 1) ? names[$0 - 1] : nil }
    }

    private func snapshot(_ row: Statement) -> LedgerSnapshot? {
        guard let policy = name(row.integer(0)),
            let state = row.blob(5).flatMap({ try? decoder.decode(PolicyState.self, from: Data($0)) })
        else { return nil }
        let shadow = row.blob(6).flatMap { try? decoder.decode(Shadow.self, from: Data($0)) }
        return LedgerSnapshot(policy: policy, term: Int(row.integer(3)), time: row.real(4), state: state, shadow: shadow)
    }

    private typealias Result = (policy: String, seq: Int, text: String)

    /// Calls `body` with the rows behind one, in their order, until it returns false.
    private func rows(
        behind: Int64, in database: Database,
        _ body: (_ id: Int64, _ time: Seconds, _ decisions: [LedgerRecord], _ results: [Result]) throws -> Bool
    ) throws {
        let select = try database.statement("SELECT id, time, kind, body FROM log WHERE id > ? ORDER BY id")
        defer { select.reset() }
        try select.bind(1, behind)
        while try select.step() {
            var reader = ObservationReader(select.blob(3) ?? [])
            var decisions: [LedgerRecord] = []
            var results: [Result] = []
            while !reader.isAtEnd {
                let policy = name(Int64(try reader.count())) ?? ""
                let seq = try reader.count()
                if Int(select.integer(2)) == Kind.decisions {
                    decisions.append(
                        LedgerRecord(
                            policy: policy, seq: seq, term: try reader.count(), instant: try reader.real(),
                            observation: try reader.observation()))
                } else {
                    results.append((policy, seq, try reader.text()))
                }
            }
            guard try body(select.integer(0), select.real(1), decisions, results) else { return }
        }
    }

    /// Decisions of a policy from one moment to another, each with what became of it, the last `limit` of them; made again from the snapshot
    /// before.
    func decisions(of policy: String, from: Seconds, to: Seconds, limit: Int) throws -> [(Decision, result: String?)] {
        do {
            let database = try open()
            guard let number = numbers[policy] else { return [] }
            let select = try database.statement(
                """
                SELECT policy, seq, behind, term, time, state, shadow FROM snapshots
                WHERE policy = ?1 ORDER BY time > ?2, CASE WHEN time > ?2 THEN seq ELSE -seq END LIMIT 1
                """)
            try select.bind(1, number)
            try select.bind(2, from)
            let found = try select.step() ? (snapshot(select), select.integer(2)) : (nil, 0)
            select.reset()
            guard let snapshot = found.0 else { return [] }
            var recorded = RecordList()
            try rows(behind: found.1, in: database) { _, _, decisions, results in
                for record in decisions where record.policy == policy {
                    guard record.observation.time <= to else { return false }
                    recorded.add(record)
                }
                for result in results where result.policy == policy { recorded.results[result.seq] = result.text }
                return true
            }
            var image = LedgerImage(snapshot)
            var list: [(Decision, result: String?)] = []
            for record in recorded.records where record.seq > image.state.seq {
                // A changed policy begins with a snapshot of its own, and so does what was not heard of the leader.
                if let own = try self.snapshot(of: number, seq: record.seq - 1, in: database),
                    own.state.policy != image.state.policy || own.state.seq != image.state.seq
                {
                    image = LedgerImage(own)
                }
                let decision = image.replay(record)
                // The one that stood at the beginning counts where nothing was decided since.
                if let first = list.first, first.0.time < from || list.count == limit { list.removeFirst() }
                list.append((decision, recorded.results[record.seq]))
            }
            return list
        } catch { throw explained(error) }
    }

    private func snapshot(of policy: Int, seq: Int, in database: Database) throws -> LedgerSnapshot? {
        let select = try database.statement(
            "SELECT policy, seq, behind, term, time, state, shadow FROM snapshots WHERE policy = ? AND seq = ?")
        defer { select.reset() }
        try select.bind(1, policy)
        try select.bind(2, seq)
        return try select.step() ? snapshot(select) : nil
    }
}

/// Decisions of one policy in their order: what a later leader decided again counts instead of what another had.
private struct RecordList {
    private(set) var records: [LedgerRecord] = []
    var results: [Int: String] = [:]

    mutating func add(_ record: LedgerRecord) {
        while let last = records.last, last.seq >= record.seq {
            guard last.term <= record.term else { return }
            results[last.seq] = nil
            records.removeLast()
        }
        records.append(record)
    }
}
