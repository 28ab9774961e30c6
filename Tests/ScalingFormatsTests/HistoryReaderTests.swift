import Autoscaler
import ScalingFormats
import Testing

/// Recordings as they come.
@Suite struct HistoryReaderTests {
    private func read(_ text: String, columns: [String] = []) throws -> History {
        try HistoryReader.read(Array(text.utf8), file: "h.csv", columns: columns)
    }

    @Test func `times, counts and further columns are read, in any order`() throws {
        let history = try read(
            "\u{FEFF}published,note,time,cpu\r\n0,\"a, \"\"b\"\"\",10,0.5\r\n7.0,,20.5,\r\n,x,30,2\r\n", columns: ["cpu"])
        #expect(history.rows.map(\.time) == [10, 20.5, 30])
        #expect(history.rows.map(\.published) == [0, 7, nil])
        #expect(history.rows.map { $0.others.first ?? nil } == [0.5, nil, 2])
        #expect(!history.hasDates)
        #expect(history.total == 7)
    }

    @Test func `dates are RFC 3339 with any offset`() throws {
        let history = try read("time,published\n2026-11-26T08:00:00Z,0\n2026-11-26T09:00:30.250+01:00,5\n")
        #expect(history.hasDates)
        #expect(history.begin == 1_795_680_000)
        #expect(history.end - history.begin == 30.25)
        #expect(TimeText.render(history.end) == "2026-11-26T08:00:30.250Z")
    }

    @Test(arguments: [
        ("", "h.csv:1: no header"), ("a,b\n1,2\n", "h.csv:1: no column `time`; the header has a, b"),
        ("time,published,time\n", "h.csv:1: two columns are called `time`"),
        ("time,published\n", "h.csv:2: nothing stands behind the header"),
        ("time,published\n0,0\nx,1\n", "h.csv:3: time `x` is neither seconds nor a date"),
        ("time,published\n0,0\n\n0,1\n", "h.csv:4: time `0` is not behind"),
        ("time,published\n0,-1\n", "h.csv:2: published `-1` is not a whole number"),
        ("time,published\n0,1.5\n", "h.csv:2: published `1.5`"), ("time,published\n0,nan\n", "h.csv:2: published `nan`"),
        ("time,published\n0,0\n1\n", "h.csv:3: 1 fields where the header has 2"),
        ("time,published\n0,0\n2026-11-26T08:00:00Z,1\n", "h.csv:3: time `2026-11-26T08:00:00Z` is not written as in the lines before"),
        ("time,published\n0,0\n1,9e14\n", "h.csv:3: more than"), ("time,published\n0,\"1\n", "h.csv:2: a quote is not closed"),
        ("time,published\n-1,0\n", "h.csv:2: time `-1`"), ("time,published\n1e300,0\n", "h.csv:2: time `1e300`"),
        ("time,published\n2026-02-30T00:00:00Z,0\n", "h.csv:2: time"),
    ])
    func `what cannot be read is named by file and line`(text: String, says: String) {
        let error = #expect(throws: HistoryError.self) { try read(text) }
        #expect(error?.description.hasPrefix(says) == true, "\(String(describing: error))")
    }

    @Test func `a column that the policy asks for must be there, with numbers or dates`() {
        var error = #expect(throws: HistoryError.self) { try read("time,published\n0,0\n", columns: ["cpu"]) }
        #expect(error?.description.contains("no column `cpu`, which the policy asks for") == true)
        error = #expect(throws: HistoryError.self) { try read("time,published,cpu\n0,0,hot\n", columns: ["cpu"]) }
        #expect(error?.description.hasPrefix("h.csv:2: cpu `hot`") == true)
    }

    @Test func `bytes that are no text are refused, and garbage never ends the process`() {
        #expect(throws: HistoryError.self) { try HistoryReader.read([0xFF, 0xFE, 0x00], file: "h.csv") }
        var state: UInt64 = 7
        for _ in 0..<2000 {
            let alphabet = Array("0123456789,.-+eE\"\n\rTZ:timepublshd ".utf8)
            let bytes = (0..<40).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1
                return alphabet[Int(state >> 33) % alphabet.count]
            }
            _ = try? HistoryReader.read(Array("time,published\n".utf8) + bytes, file: "h.csv")
        }
    }
}
