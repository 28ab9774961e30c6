import CPosix
import Foundation
import Glibc
import Locking

/// A Docker engine of a test's own, one manager of a swarm of one node, with an image `carillon-busybox` and nothing from a network. It needs what a
/// machine's own engine needs, root above all, but takes nothing of it: data, state and socket lie in one folder.
///
/// A shell is its parent and ends it, its containers and its mounts when the shell's standard input ends, so that nothing is left however the test
/// process ends.
package final class DockerEngine: Sendable {
    package let folder: String
    private let shell: SpawnedProcess
    private let input: Pipe

    package var socket: String { folder + "/docker.sock" }
    package var address: String { "unix://" + socket }

    /// For `.enabled(if:)`.
    package static var isAvailable: Bool { missing == nil }
    package static var whyNot: String { "no Docker engine of our own: \(missing ?? "")" }

    /// Debian's, or Docker's own.
    private static let program = ["/usr/sbin/dockerd", "/usr/bin/dockerd"].first { FileManager.default.isExecutableFile(atPath: $0) }
    private static let missing: String? = {
        let files = FileManager.default
        guard program != nil, files.isExecutableFile(atPath: "/usr/bin/docker") else {
            return "there is no dockerd, or no /usr/bin/docker: apt-get install docker.io"
        }
        // Within a container there are no libraries to load.
        guard let busybox = files.contents(atPath: "/bin/busybox"), busybox.firstRange(of: Data("/ld-linux".utf8)) == nil else {
            return "there is no static /bin/busybox: apt-get install busybox-static"
        }
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let rights = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }?.split(separator: "\t").last
        let mayMount = rights.flatMap { UInt64($0, radix: 16) }.map { $0 & 1 << 21 != 0 } ?? false
        return geteuid() == 0 && mayMount ? nil : "it needs root and the right to mount (CAP_SYS_ADMIN)"
    }()

    /// Runs `body` with an engine and ends it.
    package static func with<R: Sendable>(_ body: (DockerEngine) async throws -> R) async throws -> R {
        let engine = try await onThread { try DockerEngine() }
        let result: Result<R, any Error>
        do { result = .success(try await body(engine)) } catch { result = .failure(error) }
        await onThread { engine.remove() }
        return try result.get()
    }

    private init() throws {
        var template = Array("/tmp/carillon-docker-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw DockerEngineError(text: "no temporary folder: errno \(errno)") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        shell = SpawnedProcess()
        input = Pipe()
        let output = Pipe()
        shell.executableURL = URL(filePath: "/bin/bash")
        shell.arguments = ["-c", Self.script, "docker-engine", folder, Self.program ?? "dockerd"]
        shell.standardInput = input
        shell.standardOutput = output
        shell.standardError = FileHandle.nullDevice
        try shell.run()
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty, byte.first != 10 { line += byte }
        guard line == Data("ready".utf8) else {
            let log = (try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? ""
            remove()
            throw DockerEngineError(text: "the Docker engine does not start: \(log.suffix(2000))")
        }
    }

    private func remove() {
        try? input.fileHandleForWriting.close()
        shell.waitUntilExit()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static let script = """
        D=$1
        export DOCKER_HOST=unix://$D/docker.sock
        "$2" --iptables=false --bridge=none --storage-driver=vfs --data-root "$D/data" --exec-root "$D/exec" --pidfile "$D/pid" \
          -H "$DOCKER_HOST" </dev/null >>"$D/log" 2>&1 &
        engine=$!
        start() {
          for ((i = 0; i < 600; i++)); do
            docker version >/dev/null 2>&1 && break
            kill -0 $engine 2>/dev/null || return 1
            sleep 0.1
          done
          docker swarm init --advertise-addr 127.0.0.1 || return 1
          mkdir -p "$D/root/bin"
          cp /bin/busybox "$D/root/bin/"
          ln -s busybox "$D/root/bin/sh"
          tar -C "$D/root" -c . | docker import - carillon-busybox
        }
        start </dev/null >>"$D/log" 2>&1 && echo ready
        read -r end
        {
          docker swarm leave --force
          docker ps -aq | xargs -r docker rm -f
          kill -TERM $engine
          for ((i = 0; i < 600; i++)); do kill -0 $engine 2>/dev/null || break; sleep 0.1; done
          if kill -0 $engine; then
            kill -KILL $engine
            [ -s "$D/exec/containerd/containerd.pid" ] && kill -KILL "$(cat "$D/exec/containerd/containerd.pid")"
          fi
          wait $engine
          cut -d' ' -f2 /proc/mounts | grep "^$D/" | sort -r | xargs -r -n 1 umount -l
          rm -rf "$D"
        } >>"$D/log" 2>&1
        """

    /// Runs the engine's own client and returns what it printed.
    @discardableResult
    package func docker(_ words: [String]) async throws -> String {
        let address = address
        return try await onThread {
            try SpawnedProcess.output(of: URL(filePath: "/usr/bin/docker"), ["-H", address] + words) {
                DockerEngineError(text: "docker \($0)")
            }
        }
    }
}

package struct DockerEngineError: Error, CustomStringConvertible {
    let text: String
    package var description: String { text }
}
