import Crypto
import Testing

@Suite struct CryptoTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `SHA-256 gives the digests of the standard`(text: String, digest: String) {
        #expect(SHA256.hexadecimalDigest(of: text) == digest)
    }

    @Test func `HMAC gives the codes of RFC 4231 and RFC 2202`() {
        let message = Array("what do ya want for nothing?".utf8)
        let key = Array("Jefe".utf8)
        #expect(
            Hexadecimal.encode(HMAC.sha256(message, key: key)) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(Hexadecimal.encode(HMAC.sha1(message, key: key)) == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
    }

    @Test func `an empty key and message have the code that they should`() {
        #expect(Hexadecimal.encode(HMAC.sha256([], key: [])) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    @Test func `a key longer than a block is hashed first`() {
        let code = HMAC.sha256(
            Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8), key: [UInt8](repeating: 0xAA, count: 131))
        #expect(Hexadecimal.encode(code) == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    @Test(arguments: [("", "", true), ("a", "a", true), ("a", "b", false), ("a", "aa", false), ("secret", "secreT", false)])
    func `secrets are equal when every byte is`(left: String, right: String, same: Bool) {
        #expect(ConstantTime.equal(left, right) == same)
    }

    @Test func `random bytes differ from call to call`() {
        #expect(RandomBytes.generate(0).isEmpty)
        let one = RandomBytes.generate(32)
        #expect(one.count == 32)
        #expect(one != RandomBytes.generate(32))
    }

    @Test(arguments: [
        ("", "", ""), ("f", "Zg==", "Zg"), ("fo", "Zm8=", "Zm8"), ("foo", "Zm9v", "Zm9v"), ("foob", "Zm9vYg==", "Zm9vYg"),
        ("fooba", "Zm9vYmE=", "Zm9vYmE"), ("foobar", "Zm9vYmFy", "Zm9vYmFy"), ("~~~???", "fn5+Pz8/", "fn5-Pz8_"),
    ])
    func `base64 goes both ways`(text: String, plain: String, url: String) {
        let bytes = Array(text.utf8)
        #expect(Base64.encode(bytes) == plain)
        #expect(Base64.encodeForURL(bytes) == url)
        #expect(Base64.decode(plain) == bytes)
        #expect(Base64.decodeForURL(url) == bytes)
    }

    @Test(arguments: ["Z", "Zg", "Zg=", "Zg===", "Zh==", "Zg ==", "Zm9=", "=", "Zm9v\n", "fn5-Pz8_", "====", "é==="])
    func `what is not exact base64 has no bytes`(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test func `hexadecimal goes both ways and takes either case`() {
        #expect(Hexadecimal.encode([0x00, 0x7F, 0xFF]) == "007fff")
        #expect(Hexadecimal.decode("007FfF") == [0x00, 0x7F, 0xFF])
        #expect(Hexadecimal.decode("0") == nil)
        #expect(Hexadecimal.decode("0g") == nil)
        #expect(Hexadecimal.decode("") == [])
    }

    @Test func `random bytes survive each encoding`() {
        for length in 0..<70 {
            let bytes = RandomBytes.generate(length)
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
            #expect(Base64.decodeForURL(Base64.encodeForURL(bytes)) == bytes)
            #expect(Hexadecimal.decode(Hexadecimal.encode(bytes)) == bytes)
        }
    }
}
