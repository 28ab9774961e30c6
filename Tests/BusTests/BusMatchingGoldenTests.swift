import Bus
import JSON
import TestSupport
import Testing

@Suite struct BusMatchingGoldenTests {
    @Test func `patterns match, normalise and address as the library's own classes do`() throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "bus-matching") {
            var report = GoldenReport(recording.name)
            let document = try JSONReader.read(try recording.bytes())
            let ids = document["ids"]?.items.compactMap(\.string) ?? []
            let names = document["configNames"]?.items.compactMap(\.string) ?? []
            func row(_ matches: (String) -> Bool) -> String { ids.map { matches($0) ? "T" : "F" }.joined() }
            #expect(DestinationPattern.normalised(nil) == document["normalisedNull"]?.string)
            for recorded in document["rows"]?.items ?? [] {
                let cells = recorded.items.compactMap(\.string)
                guard cells.count == 5 else { continue }
                let normalised = DestinationPattern.normalised(cells[0])
                let ours = [
                    cells[0], normalised, row { DestinationPattern.matches(cells[0], id: $0) },
                    row { DestinationPattern.matches(normalised, id: $0) },
                    row { DestinationPattern.isFor(normalised, id: $0, configurationNames: names) },
                ]
                report.played(ours == cells)
                #expect(ours == cells)
            }
            for recorded in document["isForSelfWithConfigNames"]?.items ?? [] {
                let cells = recorded.items.compactMap(\.string)
                guard cells.count == 2 else { continue }
                let ours = row { DestinationPattern.isFor(cells[0], id: $0, configurationNames: names) }
                report.played(ours == cells[1])
                #expect(ours == cells[1], "\(cells[0])")
            }
            // The original takes the origin for a pattern. We compare text: whoever we call ourselves, the original does, too; it calls more so.
            for recorded in document["isFromSelf"]?.items ?? [] {
                let cells = recorded.items.compactMap(\.string)
                guard cells.count == 2 else { continue }
                for (id, theirs) in zip(ids, cells[1]) where id == cells[0] {
                    report.played(theirs == "T")
                    #expect(theirs == "T")
                }
            }
            #expect(report.count > 0)
            report.show()
        }
    }

    @Test func `destinations reach the running instances that the original's reached`() throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "bus-destination-matrix") {
            var report = GoldenReport(recording.name)
            let document = try JSONReader.read(try recording.bytes())
            let ids = document["ids"]?.items.compactMap(\.string) ?? []
            for row in document["rows"]?.items ?? [] {
                guard let destination = row["destination"]?.string else { continue }
                let raw = ids.map { DestinationPattern.isFor(destination, id: $0) }
                var ok = raw == row["raw"]?.items.map(\.isTrue)
                if let normalised = row["normalisedDestination"]?.string {
                    ok = ok && DestinationPattern.normalised(destination) == normalised
                    ok = ok && ids.map { DestinationPattern.isFor(normalised, id: $0) } == row["normalised"]?.items.map(\.isTrue)
                }
                report.played(ok)
                #expect(ok, "\(destination)")
            }
            #expect(report.count > 0)
            report.show()
        }
    }
}
