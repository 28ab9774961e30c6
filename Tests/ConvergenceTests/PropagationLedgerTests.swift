import Bus
import Convergence
import Streams
import Telemetry
import Testing

@Suite struct PropagationLedgerTests {
    private static let server = "config-server:8888:s"
    private var ledger = PropagationLedger()
    private var now = Timestamp(milliseconds: 1_800_000_000_000)

    private static func refresh(_ version: String?, _ destination: String = "**", id: String = Identifier.random(), keys: [String] = [])
        -> BusMessage
    {
        BusMessage(
            event: BusEvent(.refresh, origin: server, destination: destination, id: id),
            headers: RefreshDetails(version: version, keys: keys, commit: .init(author: "Ada", time: 1_700_000_000_000)).headers)
    }

    private static func receipt(
        _ instance: String, of id: String?, _ outcome: Receipt.Outcome, _ version: String?, error: String? = nil
    ) -> BusMessage {
        let parts = instance.split(separator: ":").map(String.init)
        let receipt = Receipt(
            instance: instance, application: parts[0], profiles: [], running: RunningConfiguration(version: version, hash: "h"),
            outcome: outcome, error: error)
        return BusMessage(
            event: BusEvent(
                .acknowledgement(Acknowledgement(id: id, destination: "**", eventClass: nil)), origin: instance, destination: "**"),
            headers: receipt.headers)
    }

    private static func springAcknowledgement(_ instance: String, of id: String) -> BusMessage {
        BusMessage(
            event: BusEvent(
                .acknowledgement(Acknowledgement(id: id, destination: "**", eventClass: nil)), origin: instance, destination: "**"))
    }

    private mutating func see(_ messages: BusMessage...) {
        for message in messages {
            now.milliseconds += 10
            _ = ledger.record(message, at: now)
        }
    }

    private func outcomes(_ change: String) -> [String: String] {
        guard let record = ledger.change(change) else { return [:] }
        return Dictionary(uniqueKeysWithValues: ledger.rows(of: record, at: now).map { ($0.instance, $0.outcome) })
    }

    @Test mutating func `each instance that a change was for is shown with its answer, or as silent`() {
        see(Self.receipt("a:1:x", of: nil, .running, "v1"), Self.receipt("b:1:x", of: nil, .running, "v1"))
        see(Self.refresh("v2", id: "e1", keys: ["k"]), Self.receipt("a:1:x", of: "e1", .applied, "v2"))
        see(Self.springAcknowledgement("c:dev:1:x", of: "e1"), Self.receipt("d:1:x", of: "e1", .failed, "v1", error: "away"))
        #expect(outcomes("e1") == ["a:1:x": "applied", "b:1:x": "silent", "c:dev:1:x": "received", "d:1:x": "failed"])
        let rows = ledger.rows(of: ledger.changes[0], at: now)
        #expect(rows.filter(\.hasConverged).map(\.instance) == ["a:1:x", "c:dev:1:x"])
        #expect(!rows.haveConverged())
        #expect(ledger.changes[0].commit.author == "Ada")
        #expect(ledger.changes[0].keys == ["k"])
        see(Self.receipt("b:1:x", of: "e1", .unchanged, "v2"), Self.receipt("d:1:x", of: nil, .running, "v2"))
        #expect(outcomes("v2") == ["a:1:x": "applied", "b:1:x": "unchanged", "c:dev:1:x": "received", "d:1:x": "running"])
        #expect(ledger.rows(of: ledger.changes[0], at: now).haveConverged())
    }

    @Test mutating func `events of one commit to several audiences are one change, and whom it was not for is not waited for`() {
        for name in ["a", "b", "c"] { see(Self.receipt("\(name):1:x", of: nil, .running, "v1")) }
        see(Self.refresh("v2", "a:**", id: "e1", keys: ["k1"]), Self.refresh("v2", "b:**", id: "e2", keys: ["k1", "k2"]))
        #expect(ledger.changes.count == 1)
        #expect(ledger.changes[0].destinations == ["a:**", "b:**"])
        #expect(ledger.changes[0].keys == ["k1", "k2"])
        see(Self.receipt("a:1:x", of: "e1", .applied, "v2"))
        #expect(!ledger.fleet(version: "v2", at: now).haveConverged())
        see(Self.receipt("b:1:x", of: "e2", .applied, "v2"))
        let fleet = ledger.fleet(version: "v2", at: now)
        #expect(fleet.haveConverged())
        #expect(fleet.filter(\.isConcerned).map(\.instance) == ["a:1:x", "b:1:x"])
    }

    @Test mutating func `an instance that already runs a later version has converged on the earlier one`() {
        see(Self.receipt("a:1:x", of: nil, .running, "v1"), Self.refresh("v2", id: "e2"), Self.refresh("v3", id: "e3"))
        see(Self.receipt("a:1:x", of: "e2", .applied, "v3"))
        #expect(ledger.rows(of: ledger.changes[0], at: now).haveConverged())
        #expect(ledger.rows(of: ledger.changes[1], at: now).haveConverged())
    }

    @Test mutating func `a receipt that tells an older version is no convergence`() {
        see(Self.refresh("v2", id: "e2"), Self.receipt("a:1:x", of: "e2", .applied, "v1"))
        #expect(!ledger.rows(of: ledger.changes[0], at: now).haveConverged())
    }

    @Test mutating func `an instance for which nothing changed has converged, whatever version it got that in`() {
        see(Self.refresh("v2", id: "e2"), Self.receipt("a:1:x", of: "e2", .unchanged, "v1"))
        #expect(ledger.rows(of: ledger.changes[0], at: now).haveConverged())
        #expect(ledger.fleet(version: "v2", at: now).haveConverged())
    }

    @Test mutating func `a fleet without instances has not converged, and one that says goodbye is not waited for`() {
        #expect(!ledger.fleet(version: "v1", at: now).haveConverged())
        see(Self.receipt("a:1:x", of: nil, .running, "v1"), Self.receipt("b:1:x", of: nil, .running, "v0"))
        #expect(!ledger.fleet(version: "v1", at: now).haveConverged())
        see(Self.receipt("b:1:x", of: nil, .left, "v0"))
        #expect(ledger.fleet(version: "v1", at: now).haveConverged())
        #expect(!ledger.fleet(version: "v1", at: now).haveConverged(least: 2))
    }

    @Test mutating func `a server that runs no configuration is no instance`() {
        see(Self.refresh("v2", id: "e1"), Self.receipt(Self.server, of: "e1", .none, nil))
        #expect(ledger.instances.isEmpty)
    }

    @Test mutating func `instances fall silent, then are forgotten`() {
        see(Self.receipt("a:1:x", of: nil, .running, "v1"))
        now.milliseconds += 17 * 60_000
        #expect(ledger.fleet(version: nil, at: now).map(\.outcome) == ["silent"])
        now.milliseconds += 24 * 3_600_000
        see(Self.receipt("b:1:x", of: nil, .running, "v1"))
        #expect(ledger.instances.keys.sorted() == ["b:1:x"])
    }

    @Test func `nothing from outside lets it grow without bound`() {
        var limits = PropagationLedger.Limits()
        limits.changes = 5
        limits.instances = 20
        limits.answers = 40
        var ledger = PropagationLedger(limits: limits)
        var generator = SystemRandomNumberGenerator()
        for step in 0..<3000 {
            let now = Timestamp(milliseconds: Int64(step) * 7)
            let change = "e\(Int.random(in: 0...step, using: &generator) / 10)"
            if step % 10 == 0 {
                _ = ledger.record(Self.refresh("v\(step)", id: "e\(step / 10)", keys: (0..<50).map { "k\($0)" }), at: now)
            } else {
                _ = ledger.record(Self.receipt("a:\(Int.random(in: 0...500, using: &generator)):x", of: change, .applied, "v1"), at: now)
            }
            #expect(ledger.changes.count <= 5)
            #expect(ledger.instances.count <= 20)
            #expect(ledger.changes.map(\.answers.count).reduce(0, +) <= 40 || ledger.changes.count == 1)
        }
    }
}
