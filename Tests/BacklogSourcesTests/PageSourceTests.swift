import Autoscaler
import BacklogSources
import HTTP
import JSON
import TestSupport
import Testing

@Suite struct PageSourceTests {
    private func pointer(_ text: String) throws -> JSONPointer { try #require(JSONPointer(text)) }

    @Test func `a pointer finds what RFC 6901 says`() throws {
        let text = #"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#
        let document = try JSONReader.read(Array(text.utf8))
        let wanted: [(String, String)] = [
            ("/foo/0", "\"bar\""), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"), ("/e^f", "3"), ("/g|h", "4"), ("/i\\j", "5"), ("/k\"l", "6"),
            ("/ ", "7"), ("/m~0n", "8"),
        ]
        for (pointer, value) in wanted { #expect(try self.pointer(pointer).value(in: document)?.written == value, "\(pointer)") }
        #expect(try pointer("").value(in: document) == document)
        for nothing in ["/foo/2", "/foo/-", "/foo/01", "/foo/+1", "/foo/0/x", "/none", "/foo/bar"] {
            #expect(try pointer(nothing).value(in: document) == nil, "\(nothing)")
        }
        for wrong in ["foo", "/a~", "/a~2", "#/foo"] { #expect(JSONPointer(wrong) == nil, "\(wrong)") }
    }

    @Test func `one request serves all queues of a page, numbers and text that is one alike`() async throws {
        let pages = FakePages()
        pages.put("/stats", #"{"queues":{"orders":{"depth":12,"in":"345"},"pay":{"depth":0}}}"#)
        try await TestHTTPServer.with(pages) { server in
            let source = PageSource(url: server.url + "/stats")
            let orders = PageSource.Queue(backlog: try pointer("/queues/orders/depth"), published: try pointer("/queues/orders/in"))
            let pay = PageSource.Queue(backlog: try pointer("/queues/pay/depth"))
            let reports = await source.read([orders, pay], within: .seconds(60))
            #expect(reports[orders]?.reading.backlog.value == 12)
            #expect(reports[orders]?.reading.published.value == 345)
            #expect(reports[pay]?.reading.backlog.value == 0)
            #expect(reports[pay]?.reading.published.value == nil)
            #expect(pages.requests == ["/stats"])
        }
    }

    @Test(arguments: [
        (#"{"depth":-1}"#, 200), (#"{"depth":null}"#, 200), (#"{"depth":true}"#, 200), (#"{"depth":"many"}"#, 200),
        (#"{"depth":"NaN"}"#, 200),
        (#"{"depth":"inf"}"#, 200), (#"{"depth":1e999}"#, 200), (#"{"depth":"0x10"}"#, 200), (#"{"depth":""}"#, 200),
        (#"{"depth":[]}"#, 200),
        (#"{}"#, 200), ("", 200), ("<html>", 200), (#"{"depth":1"#, 200), (#"{"depth":7}"#, 500), (#"{"depth":7}"#, 404),
        (#"{"depth":7}"#, 401),
    ])
    func `what is no number is unknown, with the reason`(body: String, status: Int) async throws {
        let pages = FakePages()
        pages.put("/stats", body, status: status)
        try await TestHTTPServer.with(pages) { server in
            let queue = PageSource.Queue(backlog: try pointer("/depth"))
            let report = await PageSource(url: server.url + "/stats").read([queue], within: .seconds(60))[queue]
            #expect(report?.reading == .unknown)
            #expect(report?.problem?.contains("127.0.0.1") == true)
        }
    }

    @Test func `a counter that is missing leaves the backlog known and is told`() async throws {
        let pages = FakePages()
        pages.put("/stats", #"{"depth":3}"#)
        try await TestHTTPServer.with(pages) { server in
            let queue = PageSource.Queue(backlog: try pointer("/depth"), published: try pointer("/total"))
            let report = await PageSource(url: server.url + "/stats").read([queue], within: .seconds(60))[queue]
            #expect(report?.reading.backlog.value == 3)
            #expect(report?.reading.published.value == nil)
            #expect(report?.problem?.contains("/total") == true)
        }
    }

    @Test func `a silent page, one that is too long and one that is not there are unknown`() async throws {
        let pages = FakePages()
        pages.put("/silent", "{}", isSilent: true)
        pages.put("/long", "[" + String(repeating: "1,", count: 3 << 20) + "1]")
        try await TestHTTPServer.with(pages) { server in
            let queue = PageSource.Queue(backlog: try pointer("/0"))
            let silent = await PageSource(url: server.url + "/silent").read([queue], within: .milliseconds(300))[queue]
            #expect(silent?.reading == .unknown && silent?.problem != nil)
            let long = await PageSource(url: server.url + "/long").read([queue], within: .seconds(60))[queue]
            #expect(long?.reading == .unknown && long?.problem != nil)
        }
        let gone = PageSource(url: "http://user:secret@127.0.0.1:\(freePort())/x?token=secret")
        let queue = PageSource.Queue(backlog: try pointer("/0"))
        let report = await gone.read([queue], within: .seconds(60))[queue]
        #expect(report?.reading == .unknown)
        #expect(report?.problem?.contains("secret") == false)
        #expect(!gone.name.contains("secret"))
    }
}
