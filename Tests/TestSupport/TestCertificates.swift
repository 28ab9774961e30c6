package import Foundation

/// An authority, a stranger to it, a server for `localhost` and 127.0.0.1, and a client, made with the `openssl` command in a folder of their own:
/// `ca.pem`, `stranger.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
package struct TestCertificates: Sendable {
    package let folder: URL

    package func path(_ name: String) -> String { folder.appending(path: name).path }

    /// Runs `body` with fresh certificates and removes them afterwards.
    package static func with<R: Sendable>(_ body: (TestCertificates) async throws -> R) async throws -> R {
        let folder = FileManager.default.temporaryDirectory.appending(path: "carillon-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await withCheckedThrowingContinuation { continuation in
            Thread { continuation.resume(with: Result { try make(in: folder) }) }.start()
        }
        return try await body(TestCertificates(folder: folder))
    }

    private static func make(in folder: URL) throws {
        let script = """
            set -e
            new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key "${@:2}"; }
            for name in ca stranger; do new $name -x509 -days 2 -out $name.pem -subj /CN=$name; done
            echo "subjectAltName=DNS:localhost,IP:127.0.0.1" > names
            for name in server client; do
              new $name -out $name.csr -subj /CN=$name
              openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $name.pem -days 2 -extfile names
            done
            """
        let process = SpawnedProcess()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = ["-c", script]
        process.currentDirectoryURL = folder
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw CertificatesFailed() }
    }

    private struct CertificatesFailed: Error {}
}
