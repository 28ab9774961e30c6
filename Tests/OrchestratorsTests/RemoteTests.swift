import Autoscaler
import Foundation
import HTTP
import HTTPClient
import TestSupport
import Testing

@testable import Orchestrators

/// What the adapters share.
@Suite(.timeLimit(.minutes(2))) struct RemoteTests {
    @Test func `a file is read again when what is known of it is old, and stays what it was while it is away`() async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/token"
            func put(_ text: String) throws { try text.write(toFile: path, atomically: true, encoding: .utf8) }
            try put(" one\n")
            let (fresh, old) = (RotatedFile(path, age: .seconds(3600)), RotatedFile(path, age: .zero))
            for file in [fresh, old] { #expect(try await file.text() == "one") }
            try put("two")
            #expect(try await fresh.text() == "one")
            #expect(try await old.text() == "two")
            #expect(try await fresh.text(renewed: true) == "two")
            #expect(try await fresh.text() == "two")
            try FileManager.default.removeItem(atPath: path)
            #expect(try await old.text() == "two")
            let error = await #expect(throws: TargetError.self) { try await old.text(renewed: true) }
            #expect(error?.kind == .unauthorized && error?.message.contains(path) == true)
            for bad in ["", " \n", "a\nb", "a\u{1}b", "\u{e9}"] {
                try put(bad)
                let error = await #expect(throws: TargetError.self) { try await old.text() }
                #expect(error?.kind == .unauthorized)
            }
        }
    }

    @Test func `lines come whole however the stream is cut, and one without an end is bounded`() throws {
        var lines = LineSplitter(limit: 10)
        #expect(try lines.feed(Array("ab".utf8)).isEmpty)
        #expect(try lines.feed(Array("c\n\n \r\nd\ne".utf8)).map { String(decoding: $0, as: UTF8.self) } == ["abc", "d"])
        #expect(try lines.feed([10]) == [[0x65]])
        #expect(throws: LineSplitter.LineTooLong.self) { try lines.feed(Array("0123456789a".utf8)) }
    }

    @Test(
        arguments: [
            ("7", "{}", 7.0), ("-1", "{}", nil), ("soon", "{}", nil), (nil, #"{"details":{"retryAfterSeconds":3}}"#, 3.0), (nil, "{}", nil),
            ("Thu, 01 Jan 1970 00:00:00 GMT", "", 0.0), (nil, "garbage", nil),
        ] as [(String?, String, Double?)])
    func `a pause is read where there is one`(_ field: String?, _ body: String, _ pause: Double?) {
        let head = HTTPClientResponse.Head(status: 429, headers: field.map { ["Retry-After": $0] } ?? [:])
        let answer = RemoteAnswer(
            request: HTTPClientRequest("GET", "http://x"), response: HTTPClientResponse(head: head, body: Array(body.utf8)))
        #expect(answer.retryAfter == pause)
    }
}
