import Streams
import Testing

@Suite struct BrokerURITests {
    private func uri(_ text: String) throws(BinderError) -> BrokerURI { try BrokerURI(text, scheme: "bell", of: "Bell") }

    private func options(_ text: String) throws -> [String: String] {
        var options: [String: String] = [:]
        try uri(text).forEachOption { options[$0.name] = $0.value }
        return options
    }

    @Test func `all parts are taken apart, and escapes decoded`() throws {
        var full = try uri("bells://us%40er:p%3Aa%2Fss@one:5000,[::1]:5001,[::2],two/a%2Fb?x=1%262&flag&y=a=b")
        #expect(full.isTLS)
        let credentials = try full.takeCredentials()
        #expect(credentials?.user == "us@er" && credentials?.password == "p:a/ss")
        let path = full.takePath()
        #expect(path == "a%2Fb")
        #expect(try full.decoded(path ?? "", "path") == "a/b")
        #expect(
            try full.addresses(port: 7) == [
                .init(host: "one", port: 5000), .init(host: "::1", port: 5001), .init(host: "::2", port: 7), .init(host: "two", port: 7),
            ])
        #expect(try options("bell://h?x=1%262&flag&y=a=b") == ["x": "1&2", "flag": "", "y": "a=b"])
    }

    @Test func `missing parts are nothing, or this machine`() throws {
        for text in ["bell://", "bell:///", "bell://?"] {
            var bare = try uri(text)
            let credentials = try bare.takeCredentials()
            let path = bare.takePath()
            #expect(!bare.isTLS && credentials == nil && path == nil)
            #expect(try bare.addresses(port: 7).isEmpty)
            #expect(try bare.addresses(orLocal: 7) == [.init(host: "localhost", port: 7)])
            #expect(try options(text).isEmpty)
        }
        #expect(try uri("bell://:5").addresses(port: 7) == [.init(host: "", port: 5)])
        #expect(try uri("bell://:5,h").addresses(orLocal: 7) == [.init(host: "localhost", port: 5), .init(host: "h", port: 7)])
        var named = try uri("bell://user@h")
        let credentials = try named.takeCredentials()
        #expect(credentials?.user == "user" && credentials?.password == nil)
        var empty = try uri("bell://:@h")
        let nothing = try empty.takeCredentials()
        #expect(nothing?.user == "" && nothing?.password == "")
    }

    @Test func `what is taken first may hold the sign of the other`() throws {
        var password = try uri("bell://u:p/a@s@h/path")
        let credentials = try password.takeCredentials()
        #expect(credentials?.password == "p/a@s")
        #expect(password.takePath() == "path")
        var place = try uri("bell://u:p@h/a@b/c")
        #expect(place.takePath() == "a@b/c")
        let user = try place.takeCredentials()
        #expect(user?.user == "u" && user?.password == "p")
        #expect(try place.addresses(port: 7) == [.init(host: "h", port: 7)])
    }

    @Test func `addresses are shown as they are written`() {
        #expect(BrokerURI.Address(host: "::1", port: 5).description == "[::1]:5")
        #expect(BrokerURI.Address(host: "h", port: 5).description == "h:5")
    }

    @Test(arguments: ["bel://h", "bell:h", "BELL://h", "bellss://h", ""]) func `another scheme is refused with those that can be used`(
        _ text: String
    ) {
        let error = #expect(throws: BinderError.self) { try uri(text) }
        #expect(error?.code == .invalid && error?.message == "a Bell URI starts with bell:// or bells://")
    }

    @Test(arguments: [
        "secret:%zz@h", "secret:%2@h", "secret:%@h", "secret:%00@h", "%:secret@h", "secret:%ff@h", "u:secret@h:0", "u:secret@h:65536",
        "u:secret@h:x", "u:secret@h:", "u:secret@[::1]:x", "u:secret@h?a=%", "u:secret@h?number=secret", "u:secret@h?number=4",
        "u:secret@h?flag=secret", "u:secret@h?flag", "u:secret@h?other=secret", "u:secret@h?=secret",
    ]) func `what cannot be read is invalid, and shows no secret`(_ text: String) {
        do {
            var uri = try uri("bell://\(text)")
            _ = try uri.takeCredentials()
            _ = try uri.addresses(port: 7)
            try uri.forEachOption { option throws(BinderError) in
                switch option.name {
                case "a": break
                case "number": _ = try option.number(1...3)
                case "flag": _ = try option.flag()
                default: throw option.unknown("a, number, flag")
                }
            }
            Issue.record("\(text) was taken")
        } catch {
            #expect(error.code == .invalid)
            #expect(!error.message.contains("secret"))
        }
    }

    @Test func `options are read as numbers and flags, and another one is named with those that there are`() throws {
        try uri("bell://h?number=3&flag=true&off=false&bogus=1").forEachOption { option throws(BinderError) in
            switch option.name {
            case "number": #expect(try option.number(1...3) == 3)
            case "flag": #expect(try option.flag())
            case "off": #expect(try !option.flag())
            default: #expect(option.unknown("number, flag").message == "a Bell URI has no option bogus: number, flag")
            }
        }
    }
}
