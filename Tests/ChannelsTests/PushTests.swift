import Channels
import Crypto
import Files
import Foundation
import HTTP
import LocalBinder
import Locking
import Streams
import Telemetry
import TestSupport
import Testing

/// What a subscriber was sent.
private final class Inbox: Sendable {
    private let requests = Locked<[HTTPRequest]>([])
    var all: [HTTPRequest] { requests.withLock { $0 } }
    var texts: [String] { all.map { String(decoding: $0.body, as: UTF8.self) } }

    /// Runs a subscriber whose answer to the nth request, from 1, `answer` gives.
    static func with<R: Sendable>(
        _ answer: @escaping @Sendable (Int, HTTPRequest) -> HTTPResponse = { _, _ in HTTPResponse(204) },
        _ body: @escaping @Sendable (Inbox, String) async throws -> R
    ) async throws -> R {
        let inbox = Inbox()
        var router = Router()
        router.add("POST", "/hook") { request, _ in
            let number = inbox.requests.withLock { requests in
                requests.append(request)
                return requests.count
            }
            return answer(number, request)
        }
        return try await TestHTTPServer.with(router) { try await body(inbox, $0.url + "/hook") }
    }

    func received(_ count: Int) async throws -> [HTTPRequest] {
        try await eventually(within: .seconds(30), "\(count) requests") { all.count >= count }
        return all
    }
}

@Suite(.timeLimit(.minutes(2))) struct PushTests {
    private static let path = "/channels/d/groups/g/push"
    private static let quick = ChannelSettings(push: PushSettings(firstPause: .milliseconds(10), longestPause: .milliseconds(20)))

    private func subscribe(_ bench: ChannelBench, _ url: String, _ rest: String = "") async throws {
        _ = try await bench.json("PUT", Self.path, body: #"{"url":"\#(url)"\#(rest)}"#)
    }

    private func backlog(_ bench: ChannelBench) async throws -> Backlog {
        try await bench.binder.backlog(of: try Destination("d"), group: try ConsumerGroup("g"))
    }

    @Test func `events arrive as CloudEvents in binary mode, signed, and are done when they were taken`() async throws {
        try await Inbox.with { inbox, url in
            try await ChannelBench.with { bench in
                try await subscribe(bench, url, #","secret":"hush"# + "\"")
                let headers: HTTPHeaders = ["Content-Type": "text/plain", "carillon-tenant": "ü", "traceparent": "00-1-2-01"]
                let published = try await bench.json("POST", "/channels/d", headers: headers, body: "one")
                let request = try #require(try await inbox.received(1).first)
                let event = try CloudEvent(binary: request.headers, body: request.body)
                #expect(event["id"] == published["id"]?.string && event["source"] == "/channels/d" && event["carillontenant"] == "ü")
                #expect(String(decoding: request.body, as: UTF8.self) == "one" && request.headers["Content-Type"] == "text/plain")
                #expect(request.headers["traceparent"] == "00-1-2-01" && request.headers["carillon-attempt"] == "1")
                #expect(request.headers["carillon-group"] == "g")
                // As the documentation says to verify it.
                let signature = try #require(request.headers["carillon-signature"])
                let parts = Dictionary(
                    uniqueKeysWithValues: signature.split(separator: ",").map { ($0.prefix(1), $0.drop { $0 != "=" }.dropFirst()) })
                let time = try #require(parts["t"])
                let wanted = HMAC.sha256(Array("\(time).one".utf8), key: Array("hush".utf8))
                #expect(signature.hasSuffix(",v1=" + Hexadecimal.encode(wanted)))
                try await eventually(within: .seconds(30), "the end of the backlog") { try await backlog(bench).total == 0 }
                let shown = try await bench.ask("GET", Self.path)
                #expect(shown.text?.contains(#""signed":true"#) == true && shown.text?.contains("hush") == false)
                #expect(shown.text?.contains(#""delivered":1"#) == true)
            }
        }
    }

    @Test func `in structured mode the whole event is the body`() async throws {
        try await Inbox.with { inbox, url in
            try await ChannelBench.with { bench in
                try await subscribe(bench, url, #","format":"structured""#)
                _ = try await bench.json("POST", "/channels/d", headers: ["Content-Type": "application/json"], body: #"{"n":1.0}"#)
                let request = try #require(try await inbox.received(1).first)
                #expect(request.headers["Content-Type"] == "application/cloudevents+json; charset=UTF-8")
                #expect(try CloudEvent(structured: request.body).data == Array(#"{"n":1.0}"#.utf8))
                #expect(request.headers["carillon-signature"] == nil)
            }
        }
    }

    @Test func `what fails is sent again, then a dead letter, and holds up nothing for ever`() async throws {
        let answer: @Sendable (Int, HTTPRequest) -> HTTPResponse = { _, request in
            HTTPResponse(request.body == Array("bad".utf8) ? 500 : 200)
        }
        try await Inbox.with(answer) { inbox, url in
            let metrics = Metrics()
            try await ChannelBench.with(Self.quick, metrics: metrics) { bench in
                try await subscribe(bench, url, #","attempts":3,"concurrency":1"#)
                for text in ["bad", "good"] { _ = try await bench.json("POST", "/channels/d", body: text) }
                let requests = try await inbox.received(4)
                #expect(inbox.texts == ["bad", "bad", "bad", "good"])
                #expect(requests.prefix(3).map { $0.headers["carillon-attempt"] } == ["1", "2", "3"])
                try await eventually(within: .seconds(30), "the dead letter") { try await backlog(bench).dead == 1 }
                let letters = try await bench.json("GET", "/channels/d/groups/g/dead-letters")
                #expect(letters["deadLetters"]?.array?.first?["reason"]?["message"]?.string == "the subscriber answered 500")
                let index = try await bench.json("GET", "/channels")
                #expect(index["push"]?.array?.first?["failed"] == .integer(3))
                let lines = metrics.prometheusText.split(separator: "\n")
                #expect(
                    lines.contains { $0.hasPrefix("carillon_channels_push_requests_total") && $0.contains("failed") && $0.hasSuffix(" 3") })
                #expect(lines.contains("carillon_channels_pushes 1"))
            }
        }
    }

    @Test func `a subscriber that asks for a pause gets it, and no event is given up for that`() async throws {
        let answer: @Sendable (Int, HTTPRequest) -> HTTPResponse = { number, _ in
            number <= 2 ? HTTPResponse(number == 1 ? 429 : 503, headers: ["Retry-After": "0"]) : HTTPResponse(200)
        }
        try await Inbox.with(answer) { inbox, url in
            try await ChannelBench.with(Self.quick) { bench in
                try await subscribe(bench, url, #","attempts":1"#)
                _ = try await bench.json("POST", "/channels/d", body: "x")
                _ = try await inbox.received(3)
                try await eventually(within: .seconds(30), "the end of the backlog") { try await backlog(bench).total == 0 }
                #expect(try await backlog(bench).dead == 0)
            }
        }
    }

    @Test func `410 ends the subscription, and its event stays with the group`() async throws {
        try await Inbox.with({ _, _ in HTTPResponse(410) }) { inbox, url in
            try await ChannelBench.with(Self.quick) { bench in
                try await subscribe(bench, url)
                _ = try await bench.json("POST", "/channels/d", body: "x")
                try await eventually(within: .seconds(30), "the end of the subscription") {
                    try await bench.ask("GET", Self.path).status == 404
                }
                let left = try await bench.pullAll(1)
                #expect(left.first?["payload"]?.string == "x")
                #expect(inbox.all.count == 1)
            }
        }
    }

    @Test func `redirects are not followed, and a subscriber that is away is tried again`() async throws {
        let answer: @Sendable (Int, HTTPRequest) -> HTTPResponse = { number, request in
            number == 1 ? HTTPResponse(307, headers: ["Location": "http://127.0.0.1:1/"]) : HTTPResponse(200)
        }
        try await Inbox.with(answer) { inbox, url in
            try await ChannelBench.with(Self.quick) { bench in
                try await subscribe(bench, url)
                _ = try await bench.json("POST", "/channels/d", body: "x")
                _ = try await inbox.received(2)
                #expect(try await bench.ask("GET", Self.path).text?.contains("redirects are not followed") == true)
                try await subscribe(bench, "http://127.0.0.1:1/nobody?key=hidden")
                _ = try await bench.json("POST", "/channels/d", body: "y")
                try await eventually(within: .seconds(30), "the dead letter") { try await backlog(bench).dead == 1 }
                let shown = try await bench.ask("GET", Self.path).text
                #expect(shown?.contains("nobody listens") == true && shown?.contains("hidden") == false)
                #expect(shown?.contains("/nobody") == false && shown?.contains(#""url":"http://127.0.0.1:1/…""#) == true)
            }
        }
    }

    @Test func `a subscription survives the server, in a file that only its owner reads, until it is deleted`() async throws {
        try await withTemporaryFolder { folder in
            let settings = ChannelSettings(push: PushSettings(file: folder + "/channels/push.json"))
            try await Inbox.with { inbox, url in
                try await ChannelBench.with(settings) { bench in
                    try await subscribe(bench, url, #","secret":"hush","timeout":"1500ms","concurrency":2"#)
                }
                let mode = try FileManager.default.attributesOfItem(atPath: folder + "/channels/push.json")[.posixPermissions] as? Int
                #expect(mode == 0o600)
                try await ChannelBench.with(settings) { bench in
                    let shown = try await bench.json("GET", Self.path)
                    #expect(shown["timeout"] == .string("1500ms") && shown["concurrency"] == .integer(2))
                    // The broker here is in memory: the group is a new one.
                    try await eventually(within: .seconds(30), "the member") { (try? await backlog(bench))?.members == 1 }
                    _ = try await bench.json("POST", "/channels/d", body: "x")
                    #expect(try await inbox.received(1).first?.headers["carillon-signature"] != nil)
                    #expect(try await bench.ask("DELETE", Self.path).status == 204)
                    #expect(try await bench.ask("DELETE", Self.path).status == 404)
                }
                let kept = try #require(try PrivateFile.read(folder + "/channels/push.json"))
                #expect(!String(decoding: kept, as: UTF8.self).contains("hush"))
            }
        }
    }

    @Test func `what cannot be read of the file is neither lost nor in the way of the rest`() async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/push.json"
            let settings = ChannelSettings(push: PushSettings(file: path, concurrency: 2))
            let good = #"{"destination":"d","group":"g","url":"http://127.0.0.1:1/","concurrency":9}"#
            try PrivateFile.write(Array(#"{"subscriptions":[{"later":true},\#(good)]}"#.utf8), to: path, mode: 0o600)
            try await ChannelBench.with(settings) { bench in
                let shown = try await bench.json("GET", Self.path)
                let deleted = try await bench.ask("DELETE", Self.path)
                #expect(shown["concurrency"] == .integer(2) && deleted.status == 204)
            }
            let left = try PrivateFile.read(path)
            #expect(left == Array(#"{"subscriptions":[{"later":true}]}"#.utf8) + [10])
            try PrivateFile.write(Array("{".utf8), to: path, mode: 0o600)
            try await ChannelBench.with(settings) { bench in
                let index = try await bench.json("GET", "/channels")
                #expect(index["push"] == .array([]))
            }
            let broken = try PrivateFile.read(path + ".broken")
            #expect(broken == Array("{".utf8))
        }
    }

    @Test(arguments: [
        (#"{}"#, "\"url\""), (#"{"url":7}"#, "\"url\""), (#"{"url":"ftp://x/"}"#, "\"url\""), (#"{"url":"/hook"}"#, "\"url\""),
        (#"{"url":"http://x/","secret":""}"#, "\"secret\""), (#"{"url":"http://x/","concurrency":0}"#, "\"concurrency\""),
        (#"{"url":"http://x/","attempts":1.5}"#, "\"attempts\""), (#"{"url":"http://x/","timeout":"soon"}"#, "\"timeout\""),
        (#"{"url":"http://x/","timeout":"1h"}"#, "\"timeout\""), (#"{"url":"http://x/","format":"xml"}"#, "\"format\""),
        (#"{"url":"http://x/","urll":1}"#, "\"urll\""), ("[]", "object"),
    ])
    func `a subscription that cannot be is refused by what is wrong`(_ body: String, _ says: String) async throws {
        try await ChannelBench.with { bench in
            let refused = try await bench.ask("PUT", Self.path, body: body)
            let message = try WireValue(refused.bytes ?? [])["message"]?.string
            #expect(refused.status == 400 && message?.contains(says) == true, "\(message ?? "")")
        }
    }

    @Test func `private addresses are refused where that is said, also behind a name, and so are other hosts`() async throws {
        let settings = ChannelSettings(
            push: PushSettings(allowsPrivate: false, firstPause: .milliseconds(10), longestPause: .milliseconds(20)))
        try await ChannelBench.with(settings) { bench in
            for host in ["127.0.0.1", "127.1", "10.1.2.3", "169.254.169.254", "[::1]", "[::ffff:192.168.0.1]", "0"] {
                let refused = try await bench.ask("PUT", Self.path, body: #"{"url":"http://\#(host)/"}"#)
                #expect(refused.status == 403 && refused.text?.contains("allow-private") == true, "\(host)")
            }
        }
        try await Inbox.with { inbox, url in
            try await ChannelBench.with(settings) { bench in
                try await subscribe(bench, url.replacing("127.0.0.1", with: "localhost"))
                _ = try await bench.json("POST", "/channels/d", body: "x")
                try await eventually(within: .seconds(30), "the dead letter") { try await backlog(bench).dead == 1 }
                #expect(try await bench.ask("GET", Self.path).text?.contains("address of a private network") == true)
                #expect(inbox.all.isEmpty)
            }
        }
        let named = ChannelSettings(push: PushSettings(hosts: ["hooks.example.org", "*.example.net"]))
        try await ChannelBench.with(named) { bench in
            for (host, status) in [
                ("hooks.example.org", 200), ("a.b.example.net", 200), ("example.net", 403), ("x.hooks.example.org", 403),
            ] {
                let answer = try await bench.ask("PUT", Self.path, body: #"{"url":"https://\#(host)/"}"#)
                #expect(answer.status == status, "\(host)")
            }
        }
    }

    @Test func `one subscription more than the bound is refused, and a changed one is not one more`() async throws {
        try await ChannelBench.with(ChannelSettings(push: PushSettings(subscriptions: 1))) { bench in
            try await subscribe(bench, "http://127.0.0.1:1/")
            try await subscribe(bench, "http://127.0.0.1:1/", #","concurrency":1"#)
            let refused = try await bench.ask("PUT", "/channels/d/groups/h/push", body: #"{"url":"http://127.0.0.1:1/"}"#)
            #expect(refused.status == 429 && refused.headers["Retry-After"] != nil)
        }
    }
}

@Suite struct PushMessageTests {
    @Test(
        arguments: [
            (204, nil, .accepted), (410, nil, .gone), (429, nil, .failed("the subscriber answered 429")), (503, "2", .later(.seconds(2))),
            (429, "99999", .later(.seconds(3600))), (503, "Thu, 01 Jan 1970 00:01:40 GMT", .later(.seconds(90))),
            (503, "soon", .failed("the subscriber answered 503")), (500, "2", .failed("the subscriber answered 500")),
        ] as [(Int, String?, PushMessage.Answer)])
    func `an answer means what its status and Retry-After say`(_ status: Int, _ retryAfter: String?, _ answer: PushMessage.Answer) {
        let headers: HTTPHeaders = retryAfter.map { ["Retry-After": $0] } ?? [:]
        #expect(PushMessage.answer(status, headers, longestPause: .seconds(3600), now: 10) == answer)
    }

    @Test func `a signature is the one that other tools compute`() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        #expect(
            BodySignature.make(of: Array(#"{"a":1}"#.utf8), secret: Array("secret".utf8), now: 1_700_000_000)
                == "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686")
    }
}
