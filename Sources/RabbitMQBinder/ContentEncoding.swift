import CZlib

/// How a peer has compressed a body, as Spring's compressing post-processors name it in the content encoding.
enum ContentEncoding: String {
    case gzip
    /// zlib's format; bare deflate is taken too.
    case deflate
    /// A zip file of one entry.
    case zip

    /// What a property says: `gzip:UTF-8` is gzip, and `UTF-8` is left when it is undone. Nil where nothing of ours comes first.
    static func first(of property: String) -> (encoding: ContentEncoding, rest: String?)? {
        let end = property.firstIndex { $0 == ":" || $0 == "," } ?? property.endIndex
        guard let encoding = ContentEncoding(rawValue: property[..<end].lowercased()) else { return nil }
        let rest = property[end...].drop { $0 == ":" || $0 == "," || $0 == " " }
        return (encoding, rest.isEmpty ? nil : String(rest))
    }

    /// The body as it was before. Throws for one that is broken or grows beyond the limits.
    func undone(_ body: [UInt8], within limits: InflationLimits) throws(InflationFailure) -> [UInt8] {
        switch self {
        case .gzip: return try Inflation.run(body[...], format: 15 + 16, limits)
        case .deflate:
            let wrapped = body.count >= 2 && body[0] & 0x0F == 8 && (Int(body[0]) << 8 | Int(body[1])) % 31 == 0
            return try Inflation.run(body[...], format: wrapped ? 15 : -15, limits)
        case .zip: return try Self.firstEntry(of: body, limits)
        }
    }

    /// The local header of a zip file has 30 bytes, then a name and extra fields; the directory at its end is not needed for one entry.
    private static func firstEntry(of body: [UInt8], _ limits: InflationLimits) throws(InflationFailure) -> [UInt8] {
        func number(_ offset: Int) -> Int { Int(body[offset]) | Int(body[offset + 1]) << 8 }
        guard body.count >= 30, body[0] == 0x50, body[1] == 0x4B, body[2] == 3, body[3] == 4 else { throw InflationFailure("no zip file") }
        let isEncrypted = body[6] & 1 != 0
        let start = 30 + number(26) + number(28)
        guard start <= body.count, !isEncrypted else { throw InflationFailure("a zip entry that cannot be read") }
        switch number(8) {
        case 8: return try Inflation.run(body[start...], format: -15, limits)
        case 0:
            let length = number(18) | number(20) << 16
            guard length <= body.count - start else { throw InflationFailure("a zip entry that is cut off") }
            return Array(body[start..<start + length])
        default: throw InflationFailure("a zip entry in a method that nobody sends")
        }
    }
}

/// What a compressed body may grow to: a few bytes from outside must not fill the memory.
struct InflationLimits: Sendable, Hashable {
    /// Bytes.
    var largest: Int
    /// Bytes out for each byte in, beyond the first MiB out.
    var ratio: Int

    func allow(_ output: Int, from input: Int) -> Bool { output <= largest && (output <= 1 << 20 || output / ratio <= input) }
}

struct InflationFailure: Error {
    let text: String
    init(_ text: String) { self.text = text }
}

private enum Inflation {
    /// `format`: what zlib calls window bits, which say the format too.
    static func run(_ input: ArraySlice<UInt8>, format: Int32, _ limits: InflationLimits) throws(InflationFailure) -> [UInt8] {
        // The library remembers where the stream lies, and refuses one that has moved.
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        defer { stream.deallocate() }
        stream.initialize(to: z_stream())
        guard carillon_inflate_begin(stream, format) == Z_OK else { throw InflationFailure("no memory to inflate") }
        defer { inflateEnd(stream) }
        let result: Result<[UInt8], InflationFailure> = input.withUnsafeBytes { bytes in
            guard let start = bytes.bindMemory(to: UInt8.self).baseAddress, let length = UInt32(exactly: bytes.count) else {
                return .failure(InflationFailure("nothing to inflate"))
            }
            stream.pointee.next_in = UnsafeMutablePointer(mutating: start)
            stream.pointee.avail_in = length
            return drain(stream, isGzip: format > 15, count: bytes.count, limits)
        }
        return try result.get()
    }

    private static func drain(
        _ stream: UnsafeMutablePointer<z_stream>, isGzip: Bool, count: Int, _ limits: InflationLimits
    ) -> Result<[UInt8], InflationFailure> {
        var output: [UInt8] = []
        let size = 64 * 1024
        let chunk = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
        defer { chunk.deallocate() }
        while true {
            stream.pointee.next_out = chunk
            stream.pointee.avail_out = UInt32(size)
            let status = inflate(stream, Z_NO_FLUSH)
            let written = size - Int(stream.pointee.avail_out)
            guard limits.allow(output.count + written, from: count) else {
                return .failure(InflationFailure("it grows beyond \(limits.largest) bytes or \(limits.ratio) times its size"))
            }
            output.append(contentsOf: UnsafeBufferPointer(start: chunk, count: written))
            switch status {
            case Z_STREAM_END:
                // A gzip file may have several members, one after the other.
                let left = stream.pointee.avail_in
                guard isGzip, left >= 2, let next = stream.pointee.next_in, next[0] == 0x1F, next[1] == 0x8B else {
                    return .success(output)
                }
                guard inflateReset(stream) == Z_OK else { return .failure(InflationFailure("the library refuses to go on")) }
            case Z_OK:
                guard written > 0 || stream.pointee.avail_in > 0 else { return .failure(InflationFailure("it is cut off")) }
            case Z_BUF_ERROR: return .failure(InflationFailure("it is cut off"))
            default: return .failure(InflationFailure("it is damaged"))
            }
        }
    }
}
