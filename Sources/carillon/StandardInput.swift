import Glibc
import ThreadExecutor

/// Standard input by lines, read on a thread of its own: a terminal may keep it waiting for ever.
actor StandardInput {
    private let executor = ThreadExecutor(name: "stdin")
    private var buffer: [UInt8] = []
    private var start = 0
    private var ended = false

    deinit { executor.stop() }

    /// The next line without its line feed; nil at the end. A last line without a line feed counts.
    func next() async throws -> [UInt8]? {
        while true {
            if let end = buffer[start...].firstIndex(of: 10) {
                defer { start = end + 1 }
                return Array(buffer[start..<end])
            }
            if ended {
                defer { start = buffer.count }
                return start < buffer.count ? Array(buffer[start...]) : nil
            }
            try await fill()
        }
    }

    func everything() async throws -> [UInt8] {
        while !ended { try await fill() }
        return Array(buffer[start...])
    }

    private func fill() async throws {
        try Task.checkCancellation()
        let bytes: [UInt8] = try await executor.run {
            let capacity = 64 << 10
            return [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
                count = max(0, read(0, target.baseAddress, capacity))
            }
        }
        if bytes.isEmpty { ended = true }
        buffer.removeFirst(start)
        start = 0
        buffer += bytes
    }
}
