import Autoscaler
import BacklogSources
import HTTP
import TestSupport
import Testing

@Suite struct PrometheusSourceTests {
    private static let path = "/api/v1/query"

    private static func vector(_ values: String...) -> String {
        let elements = values.map { #"{"metric":{"queue":"orders"},"value":[1700000000.781,"\#($0)"]}"# }
        return #"{"status":"success","data":{"resultType":"vector","result":[\#(elements.joined(separator: ","))]}}"#
    }

    private func read(_ body: String, status: Int = 200) async throws -> QueueReport {
        let pages = FakePages()
        pages.put(Self.path, body, status: status)
        return try await TestHTTPServer.with(pages) { server in
            let queue = PrometheusSource.Queue(backlog: "depth")
            return try #require(await PrometheusSource(url: server.url).read([queue], within: .seconds(60))[queue])
        }
    }

    @Test func `one element is the number, of a vector as of a scalar`() async throws {
        #expect(try await read(Self.vector("42.5")).reading.backlog.value == 42.5)
        #expect(try await read(Self.vector("0")).reading.backlog.value == 0)
        let scalar = #"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"7"]}}"#
        #expect(try await read(scalar).reading.backlog.value == 7)
    }

    @Test(arguments: [
        (vector(), "no element"), (vector("1", "2"), "2 elements"), (vector("NaN"), "NaN"), (vector("+Inf"), "+Inf"),
        (vector("-Inf"), "-Inf"),
        (vector("-3"), "-3"), (vector(""), "no number"), (#"{"status":"success"}"#, "no type"),
        (#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#, "matrix"),
        (#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}"#, "without a value"), ("[]", "without a status"),
        ("", "JSON"), ("<html>", "JSON"),
    ])
    func `anything else is unknown, with the reason`(body: String, reason: String) async throws {
        let report = try await read(body)
        #expect(report.reading == .unknown)
        #expect(report.problem?.contains(reason) == true, "\(report.problem ?? "")")
    }

    @Test func `an error tells what the server says`() async throws {
        let body = #"{"status":"error","errorType":"bad_data","error":"parse error: unexpected end of input"}"#
        let report = try await read(body, status: 400)
        #expect(report.reading == .unknown)
        #expect(report.problem?.contains("parse error") == true)
        let broken = try await read("oops", status: 500)
        #expect(broken.reading == .unknown)
        #expect(broken.problem?.contains("500") == true)
    }

    @Test func `a query is asked once for all queues that share it`() async throws {
        let pages = FakePages()
        pages.put(Self.path + "?query=sum%28depth%29", Self.vector("5"))
        pages.put(Self.path + "?query=sum%28total%29", Self.vector("100"))
        try await TestHTTPServer.with(pages) { server in
            let queues = [
                PrometheusSource.Queue(backlog: "sum(depth)", published: "sum(total)"), PrometheusSource.Queue(backlog: "sum(depth)"),
                PrometheusSource.Queue(backlog: "sum(depth)", published: "sum(gone)"),
            ]
            let reports = await PrometheusSource(url: server.url + "/").read(Set(queues), within: .seconds(60))
            #expect(reports[queues[0]]?.reading.backlog.value == 5)
            #expect(reports[queues[0]]?.reading.published.value == 100)
            #expect(reports[queues[1]]?.reading.published.value == nil)
            #expect(reports[queues[1]]?.problem == nil)
            #expect(reports[queues[2]]?.reading.backlog.value == 5)
            #expect(reports[queues[2]]?.problem?.contains("404") == true)
            #expect(Set(pages.requests).count == 3 && pages.requests.count == 3)
        }
    }

    @Test func `a silent server is unknown within the limit`() async throws {
        let pages = FakePages()
        pages.put(Self.path, "", isSilent: true)
        try await TestHTTPServer.with(pages) { server in
            let queues = (0..<20).map { PrometheusSource.Queue(backlog: "depth\($0)") }
            let reports = await PrometheusSource(url: server.url).read(Set(queues), within: .milliseconds(500))
            #expect(reports.count == 20)
            #expect(reports.values.allSatisfy { $0.reading == .unknown && $0.problem != nil })
        }
    }
}
