import HTTP
import Testing

@Suite struct ServerSentEventTests {
    @Test func `an event is written with its fields and an empty line`() {
        let event = ServerSentEvent(id: "7", event: "refresh", data: "a\nb\r\nc\rd", retry: 100)
        #expect(String(decoding: event.bytes, as: UTF8.self) == "event: refresh\nid: 7\nretry: 100\ndata: a\ndata: b\ndata: c\ndata: d\n\n")
        #expect(
            String(decoding: ServerSentEvent(id: "1\n2\r3\0", event: "x\ny", data: "").bytes, as: UTF8.self)
                == "event: xy\nid: 123\ndata: \n\n")
    }

    @Test(arguments: [
        ("data: a\n\n", [ServerSentEvent(data: "a")]), ("data:a\r\n\r\n", [ServerSentEvent(data: "a")]),
        ("data: a\r\r", [ServerSentEvent(data: "a")]),
        ("data:  a\ndata\ndata:b\n\n", [ServerSentEvent(data: " a\n\nb")]), (": comment\n\n", []), ("event: x\n\n", []), ("data: a\n", []),
        ("\u{FEFF}data: a\n\n", [ServerSentEvent(data: "a")]),
        ("id: 1\ndata: a\n\ndata: b\n\n", [ServerSentEvent(id: "1", data: "a"), ServerSentEvent(id: "1", data: "b")]),
        ("id\ndata: a\n\n", [ServerSentEvent(id: "", data: "a")]),
        ("retry: 5\nevent: e\ndata: a\n\n", [ServerSentEvent(event: "e", data: "a", retry: 5)]),
        ("retry: x\nother: y\ndata: a:b\n\n", [ServerSentEvent(data: "a:b")]), ("id: a\0b\ndata: x\n\n", [ServerSentEvent(data: "x")]),
    ])
    func `a stream is read by the rules of the standard`(_ text: String, _ events: [ServerSentEvent]) throws {
        var whole = ServerSentEventParser()
        #expect(try whole.feed(text.utf8) == events)
        var bytewise = ServerSentEventParser()
        var pieces: [ServerSentEvent] = []
        for byte in text.utf8 { pieces += try bytewise.feed([byte]) }
        #expect(pieces == events, "however it is cut into pieces")
    }

    @Test func `what is written is read as it was`() throws {
        let events = [
            ServerSentEvent(id: "é", event: "a b", data: "line\n\nline", retry: 3), ServerSentEvent(id: "x", data: ""),
            ServerSentEvent(id: "y", data: " : "),
        ]
        var parser = ServerSentEventParser()
        #expect(try parser.feed(ServerSentEvent.keepAlive + events.flatMap(\.bytes)) == events)
        #expect(parser.lastID == "y")
    }

    @Test func `a line without end is an error, not memory`() throws {
        var parser = ServerSentEventParser(lineLimit: 10)
        #expect(try parser.feed("data: 1234\n\n".utf8).count == 1)
        #expect(throws: ServerSentEventParser.LineTooLong.self) { try parser.feed("data: 12345".utf8) }
    }
}
