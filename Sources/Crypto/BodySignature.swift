/// How we sign what we send to others, so that they know who sent it, and when.
package enum BodySignature {
    /// The header field that carries it.
    package static let field = "carillon-signature"

    /// `t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 by the secret of the seconds since 1970, a dot, and the body.
    package static func make(of body: [UInt8], secret: [UInt8], now: Int64) -> String {
        "t=\(now),v1=" + Hexadecimal.encode(HMAC.sha256(Array("\(now).".utf8) + body, key: secret))
    }
}
