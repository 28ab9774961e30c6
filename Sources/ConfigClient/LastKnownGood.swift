import ConfigModel
import Crypto
import Files
import Foundation
import Glibc
package import ThreadExecutor

/// The last configuration that a server confirmed, in one file that only its owner can read.
///
/// The file holds one line of JSON (format, identity, checksum, time, entity tag) and then the server's answer as it came. It is written
/// beside and renamed, so that a reader sees the old one or the new one, whole.
package struct LastKnownGood: Sendable {
    package struct Record: Sendable {
        /// The server's answer.
        package var body: [UInt8]
        package var entityTag: String?
        /// The version that the server named beside it.
        package var version: String?
        /// When a server confirmed it; milliseconds since 1970.
        package var savedAt: Int64
        package init(body: [UInt8], entityTag: String?, version: String? = nil, savedAt: Int64) {
            self.version = version
            self.body = body
            self.entityTag = entityTag
            self.savedAt = savedAt
        }
    }

    /// Why a file is not used.
    package struct Refusal: Error, CustomStringConvertible {
        package let description: String
    }

    private let folder: String
    private let identity: String
    package let path: String
    private let disk: ThreadExecutor

    private struct Header: Codable {
        var format: Int
        var identity: String
        var savedAt: Int64
        var entityTag: String?
        var version: String?
        /// SHA-256 of identity, time, tag, version and body.
        var checksum: String

        func sum(_ body: [UInt8]) -> String {
            Hexadecimal.encode(
                SHA256.digest(of: Array("\(format)\n\(identity)\n\(savedAt)\n\(entityTag ?? "")\n\(version ?? "")\n".utf8) + body))
        }
    }

    /// `disk` is the thread that reads and writes.
    package init(folder: String, application: String, profiles: [String], label: String?, disk: ThreadExecutor) {
        self.folder = folder
        self.disk = disk
        identity = "\(application)|\(profiles.joined(separator: ","))|\(label ?? "")"
        let name = String(application.map { $0.isASCII && ($0.isLetter || $0.isNumber) || "-_.".contains($0) ? $0 : "_" }.prefix(60))
        path = "\(folder)/\(name)-\(SHA256.hexadecimalDigest(of: identity).prefix(16)).config"
    }

    /// Ends the thread. Nothing is saved or loaded afterwards.
    package func close() { disk.stop() }

    /// Writes the record; throws with the path and the reason.
    package func save(_ record: Record) async throws {
        var header = Header(
            format: 1, identity: identity, savedAt: record.savedAt, entityTag: record.entityTag, version: record.version, checksum: "")
        header.checksum = header.sum(record.body)
        let bytes = try Array(JSONEncoder().encode(header)) + [10] + record.body
        let (folder, path) = (folder, path)
        try await disk.run {
            try PrivateFile.makeFolder(folder)
            try PrivateFile.write(bytes, to: path, mode: 0o600)
        }
    }

    /// The record; nil where there is no file. Throws `Refusal` for a file that is corrupt, of somebody else, readable by others, or of
    /// another application.
    package func load() async throws -> Record? {
        let (identity, path) = (identity, path)
        return try await disk.run { () throws -> Record? in
            guard let bytes = try Self.readOwn(path) else { return nil }
            guard let end = bytes.firstIndex(of: 10), let header = try? JSONDecoder().decode(Header.self, from: Data(bytes[..<end])) else {
                throw Refusal(description: "\(path) is corrupt: it has no header")
            }
            let body = Array(bytes[(end + 1)...])
            guard header.format == 1 else {
                throw Refusal(description: "\(path) has the format \(header.format), which this version does not know")
            }
            guard header.checksum == header.sum(body) else { throw Refusal(description: "\(path) is corrupt: its checksum is another") }
            guard header.identity == identity else {
                throw Refusal(description: "\(path) belongs to another application, profile or label")
            }
            return Record(body: body, entityTag: header.entityTag, version: header.version, savedAt: header.savedAt)
        }
    }

    private static func readOwn(_ path: String) throws -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw Refusal(description: "\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Refusal(description: "\(path) is no file")
        }
        guard status.st_uid == geteuid() else { throw Refusal(description: "\(path) belongs to another user") }
        guard status.st_mode & 0o077 == 0 else {
            throw Refusal(description: "\(path) is open to other users; remove it, or set its mode to 0600")
        }
        guard status.st_size <= 64 << 20 else { throw Refusal(description: "\(path) is larger than any configuration") }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let got = bytes[count...].withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { throw Refusal(description: "\(path) cannot be read whole") }
            count += got
        }
        return bytes
    }
}
