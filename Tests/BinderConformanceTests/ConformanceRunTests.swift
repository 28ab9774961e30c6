import LocalBinder
import Locking
import Streams
import TestSupport
import Testing

@Suite struct ConformanceRunTests {
    @Test func `every case of the specification is there, once, in order`() {
        let counts: [(String, Int)] = [("A", 10), ("B", 9), ("C", 15), ("D", 6), ("E", 14), ("F", 9), ("G", 7)]
        var ids = counts.flatMap { letter, count in (1...count).map { "\(letter)\($0)" } }
        ids += ["I1", "I2", "I3", "I4", "R1", "R2"]
        #expect(BinderCases.all.map(\.id) == ids)
    }

    @Test func `a run tells what passed, what failed and why, and what was skipped for which capability`() async throws {
        let cases = BinderCases.all.filter { ["A1", "A2", "D3", "E5"].contains($0.id) }
        let told = Locked<[String]>([])
        let ids = Ids(told)
        let binder = FaultyBinder(.addsHeader, over: LocalBinder())
        let report = try await BinderBench.withRunning(binder) {
            await ConformanceRun(cases: cases, progress: { ids.add($0.id) }).report(of: "faulty", capabilities: binder.capabilities) { _ in
                BinderBench(binder: binder, oversized: 17 << 20, fresh: { LocalBinder() })
            }
        }
        #expect(report.line == "conformance faulty: 2 run, 1 passed, 1 failed, 2 skipped (nativePartitions, removable)")
        #expect(Set(ids.all) == ["A1", "A2", "D3", "E5"])
        #expect(report.results.map(\.id) == ["A1", "A2", "D3", "E5"])
        #expect(report.failures.map(\.id) == ["A2"])
        #expect(report.failures.first?.summary.hasSuffix(": headers were added: [\"internal\"]") == true)
        let lines = report.table.split(separator: "\n").map(String.init)
        #expect(lines[0].hasPrefix("A1   passed "))
        #expect(lines[1].hasPrefix("A2   FAILED "))
        #expect(lines[2] == "     headers were added: [\"internal\"]")
        #expect(lines[3].hasSuffix("— without nativePartitions"))
        #expect(report.table.contains("capabilities  durableGroups broadcast"))
    }

    @Test func `what a broker does not offer is skipped by name, though the binder could`() async throws {
        let one = try #require(BinderCases.all.first { $0.id == "G4" })
        let binder = LocalBinder()
        #expect(one.missing(BinderBench(binder: binder, fresh: { binder })) == [])
        #expect(one.missing(BinderBench(binder: binder, lacking: .bounded, fresh: { binder })).names == ["bounded"])
    }

    @Test func `every capability has a name of its own`() {
        let names = BinderCapabilities.all.names
        #expect(Set(names).count == names.count)
        #expect(BinderCapabilities.all.rawValue == (1 << names.count) - 1)
    }
}

private final class Ids: Sendable {
    private let ids: Locked<[String]>
    init(_ ids: consuming sending Locked<[String]>) { self.ids = ids }
    var all: [String] { ids.withLock { $0 } }
    func add(_ id: String) { ids.withLock { $0.append(id) } }
}
