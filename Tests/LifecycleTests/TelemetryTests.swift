import Foundation
import Locking
import Telemetry
import Testing

private final class Lines: Sendable {
    let all = Locked<[String]>([])
}

@Suite struct TelemetryTests {
    @Test func `a log line is one JSON object whatever the text holds`() throws {
        let lines = Lines()
        let log = Log(part: "test", minimum: .info) { _, line in lines.all.withLock { $0.append(line) } }
        log.debug("not shown")
        log.of("bus").warning("a \"quote\"\nand \u{1} \\", ["key": "vä\tlue\u{7F}"])
        let written = lines.all.withLock { $0 }
        #expect(written.count == 1)
        #expect(!written[0].contains("\n"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(written[0].utf8)) as? [String: String])
        #expect(object["message"] == "a \"quote\"\nand \u{1} \\")
        #expect(object["key"] == "vä\tlue\u{7F}")
        #expect(object["level"] == "warning")
        #expect(object["part"] == "bus")
    }

    @Test func `a moment is written in UTC with milliseconds`() {
        #expect(Timestamp(milliseconds: 1_700_000_000_123).text == "2023-11-14T22:13:20.123Z")
        #expect(Timestamp(milliseconds: 0).text == "1970-01-01T00:00:00.000Z")
        #expect(Timestamp(milliseconds: -1).text == "1969-12-31T23:59:59.999Z")
    }

    @Test func `metrics come out as Prometheus text`() {
        let metrics = Metrics()
        metrics.count("requests_total", ["code": "200"], help: "Requests.")
        metrics.count("requests_total", ["code": "200"], by: 2, help: "Requests.")
        metrics.gauge("backlog", ["queue": "a\"b\\c\nd"], 1.5, help: "Waiting.")
        metrics.gauge("gone", [:], 1, help: "Unknown.")
        metrics.gauge("gone", [:], nil, help: "Unknown.")
        metrics.time("took_seconds", [:], .milliseconds(30), help: "Time.")
        let text = metrics.prometheusText
        #expect(text.contains("# TYPE requests_total counter\nrequests_total{code=\"200\"} 3\n"))
        #expect(text.contains(#"backlog{queue="a\"b\\c\nd"} 1.5"#))
        #expect(!text.contains("\ngone "))
        #expect(text.contains("took_seconds_bucket{le=\"0.025\"} 0\n"))
        #expect(text.contains("took_seconds_bucket{le=\"0.05\"} 1\n"))
        #expect(text.contains("took_seconds_bucket{le=\"+Inf\"} 1\n"))
    }

    @Test func `labels from outside cannot grow a metric without bound`() {
        let metrics = Metrics(labelLimit: 10)
        for index in 0..<1000 { metrics.count("seen_total", ["who": "\(index)"], help: "Seen.") }
        let lines = metrics.prometheusText.split(separator: "\n").filter { $0.hasPrefix("seen_total{") }
        #expect(lines.count == 11)
        #expect(lines.contains("seen_total{who=\"other\"} 990"))
    }

    @Test(arguments: [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
        ("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", false),
        ("", false), ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later", true),
    ])
    func `traceparent is read as the recommendation says`(text: String, valid: Bool) {
        #expect((TraceContext(text) != nil) == valid)
    }

    @Test func `a child keeps its trace`() throws {
        var generator = SystemRandomNumberGenerator()
        let parent = TraceContext(using: &generator)
        let child = parent.child(using: &generator)
        #expect(child.trace == parent.trace)
        #expect(child.span != parent.span)
        #expect(TraceContext(child.text) == child)
    }
}
