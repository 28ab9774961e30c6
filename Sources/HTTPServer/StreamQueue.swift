/// Bytes of a streamed body on their way from its writer to the library: bounded, the writer waits while it is full.
struct StreamQueue {
    private var bytes: [UInt8] = []
    private var head = 0
    private let limit: Int
    /// Nothing is added any more; what is there still goes out.
    private(set) var hasEnded = false
    /// The stream broke: the client is to see that it is not whole.
    private(set) var hasFailed = false

    init(limit: Int) { self.limit = limit }

    var count: Int { bytes.count - head }
    var isEmpty: Bool { count == 0 }

    enum Offer: Equatable { case taken, full, ended }

    /// Whether a writer that waits may try again.
    var hasRoom: Bool { count <= limit / 2 }

    /// A piece of any length is taken whole once the queue is at most half full: its writer holds it anyway.
    mutating func offer(_ piece: [UInt8]) -> Offer {
        if hasEnded { return .ended }
        guard hasRoom || count + piece.count <= limit else { return .full }
        if head > 0 {
            bytes.removeFirst(head)
            head = 0
        }
        bytes += piece
        return .taken
    }

    /// Moves up to `room.count` bytes out. Returns how many.
    mutating func take(into room: UnsafeMutableRawBufferPointer) -> Int {
        let taken = min(room.count, count)
        bytes.withUnsafeBytes { room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[head..<head + taken])) }
        head += taken
        if isEmpty {
            bytes.removeAll(keepingCapacity: bytes.count <= limit)
            head = 0
        }
        return taken
    }

    mutating func end(failed: Bool = false) {
        guard !hasEnded else { return }
        hasEnded = true
        hasFailed = failed
    }

    /// The client is gone: what is left goes nowhere.
    mutating func drop() {
        bytes = []
        head = 0
        hasEnded = true
    }
}
