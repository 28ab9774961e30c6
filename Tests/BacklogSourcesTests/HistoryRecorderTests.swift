import Autoscaler
import BacklogSources
import ScalingFormats
import Testing

@Suite struct HistoryRecorderTests {
    private func report(_ published: Double?, backlog: Double? = 0) -> QueueReport {
        QueueReport(QueueReading(backlog: Reading(backlog), published: Reading(published)))
    }

    @Test func `a recording is read back as what came, with gaps and a source that began anew`() throws {
        var recorder = HistoryRecorder()
        var text = HistoryRecorder.header
        let counts: [Double?] = [nil, 1000, 1010, nil, 1030, 5, 25, nil]
        for (index, count) in counts.enumerated() {
            let line = recorder.line(of: report(count), at: 1_700_000_000 + Double(index) * 5)
            text += try #require(line)
        }
        let history = try HistoryReader.read(Array(text.utf8), file: "recording.csv")
        #expect(history.hasDates)
        #expect(history.rows.map(\.published) == [nil, 0, 10, nil, 30, 35, 55, nil])
        #expect(history.rows.map(\.time) == (0..<8).map { 1_700_000_000 + Double($0) * 5 })
        #expect(history.total == 55)
    }

    @Test func `fractions are not lost and not counted as messages`() throws {
        var recorder = HistoryRecorder()
        let counts = [0.0, 0.4, 0.8, 1.2, 1.6, 2.0]
        let lines = counts.enumerated().map { recorder.line(of: report($1), at: Double($0)) ?? "" }
        #expect(lines.map { $0.split(separator: ",", omittingEmptySubsequences: false)[1] } == ["0", "0", "0", "1", "1", "2"])
    }

    @Test func `a clock that steps back writes no line`() throws {
        var recorder = HistoryRecorder()
        let lines = [(1.0, 100.0), (2, 100), (3, 99), (4, 100.5)].map { recorder.line(of: report($0), at: $1) }
        #expect(lines.map { $0 == nil } == [false, true, true, false])
        #expect(lines[3]?.contains(",3,") == true)
    }

    @Test func `the further columns are what the source tells besides`() throws {
        var recorder = HistoryRecorder()
        var report = report(7, backlog: 12)
        report.reading.acknowledged = Reading(3)
        report.reading.oldest = Reading(1.5)
        report.members = 2
        let lines = [recorder.line(of: report, at: 0), recorder.line(of: .unknown("away"), at: 1)]
        #expect(lines == ["1970-01-01T00:00:00Z,0,12,3,1.5,2\n", "1970-01-01T00:00:01Z,,,,,\n"])
    }
}
