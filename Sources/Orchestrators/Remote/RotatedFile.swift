internal import Autoscaler
internal import Files
internal import Locking
internal import ThreadExecutor

/// A small file that others exchange while we run: a token, an authority, a kubeconfig. Read again when what is known of it is old, or when the
/// orchestrator no longer takes it.
final class RotatedFile: Sendable {
    let path: String
    private let age: Duration
    private let known = Locked<(bytes: [UInt8], read: ContinuousClock.Instant)?>(nil)
    /// A folder of the network may hang: never on the cooperative pool.
    private static let disk = ThreadExecutor(name: "orchestrators")

    init(_ path: String, age: Duration) {
        self.path = path
        self.age = age
    }

    /// What the file holds. `renewed`: what was read before is not good any more. A file that is away just now, as within an exchange, is what
    /// it was.
    func bytes(renewed: Bool = false) async throws(TargetError) -> [UInt8] {
        let before = known.withLock { $0 }
        if let before, !renewed, ContinuousClock.now - before.read < age { return before.bytes }
        let path = path
        do {
            guard let bytes = try await Self.disk.run({ try PrivateFile.read(path, limit: 4 << 20) }) else {
                throw TargetError(.unauthorized, "there is no file \(path); put it there, or correct the path")
            }
            known.withLock { $0 = (bytes, .now) }
            return bytes
        } catch {
            if let before, !renewed { return before.bytes }
            throw error as? TargetError ?? TargetError(.unauthorized, "\(error); let this process read it, or correct the path")
        }
    }

    /// The same as text without white space around it. Throws where it is empty or cannot stand in a header field.
    func text(renewed: Bool = false) async throws(TargetError) -> String {
        var text = try await bytes(renewed: renewed)[...]
        while let last = text.last, last <= 32 { text = text.dropLast() }
        while let first = text.first, first <= 32 { text = text.dropFirst() }
        guard !text.isEmpty, text.allSatisfy({ $0 >= 32 && $0 < 127 }) else {
            throw TargetError(.unauthorized, "\(path) holds no token: one line of printable characters is needed")
        }
        return String(decoding: text, as: UTF8.self)
    }
}
