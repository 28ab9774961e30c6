import Testing

@testable import HTTPServer

@Suite struct ByteSetTests {
    private static let lettersAndDigits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

    @Test func `the sets of bytes are those of their definitions`() {
        func members(_ set: ByteSet) -> Set<UInt8> { Set((UInt8.min...UInt8.max).filter { set.contains($0) }) }
        #expect(members(.token) == Set((Self.lettersAndDigits + "!#$%&'*+-.^_`|~").utf8))
        #expect(members(.host) == Set((Self.lettersAndDigits + "!$%&'()*+,;=-._~:[]").utf8))
        #expect(members(.value) == Set((0x20...0xFF).filter { $0 != 0x7F } + [9]))
        #expect(members(.target) == Set((0x21...0x7E).filter { $0 != UInt8(ascii: "#") }))
    }
}
