import CHiredis

/// A command's arguments, one behind the other in one piece of memory, written out as RESP by hiredis's formatter.
struct RedisCommand {
    private var content: [UInt8] = []
    private var ends: [Int] = []

    init(_ arguments: String...) {
        for argument in arguments { add(argument) }
    }

    init(arguments: [String]) {
        for argument in arguments { add(argument) }
    }

    mutating func reserve(_ bytes: Int, arguments: Int) {
        content.reserveCapacity(bytes)
        ends.reserveCapacity(arguments)
    }

    mutating func add(_ text: String) {
        content.append(contentsOf: text.utf8)
        ends.append(content.count)
    }

    mutating func add(_ bytes: [UInt8]) {
        content.append(contentsOf: bytes)
        ends.append(content.count)
    }

    mutating func add(_ number: some BinaryInteger) { add(String(number)) }

    var count: Int { ends.count }

    /// As it goes to the server. Empty only where there is no memory for it.
    var encoded: [UInt8] {
        withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: ends.count) { pointers in
            withUnsafeTemporaryAllocation(of: Int.self, capacity: ends.count) { lengths in
                content.withUnsafeBytes { content in
                    // The memory of an empty command may have no address; every argument needs one.
                    let base = (content.baseAddress ?? UnsafeRawPointer(bitPattern: 1)).map { $0.assumingMemoryBound(to: CChar.self) }
                    var start = 0
                    for (index, end) in ends.enumerated() {
                        pointers.initializeElement(at: index, to: base.map { $0 + start })
                        lengths.initializeElement(at: index, to: end - start)
                        start = end
                    }
                    var target: UnsafeMutablePointer<CChar>?
                    let length = redisFormatCommandArgv(&target, Int32(ends.count), pointers.baseAddress, lengths.baseAddress)
                    guard let target, length > 0 else { return [] }
                    defer { redisFreeCommand(target) }
                    return Array(UnsafeRawBufferPointer(start: target, count: Int(length)))
                }
            }
        }
    }
}
