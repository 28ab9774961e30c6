import Foundation
import Glibc

/// What the process of the tests holds, as the kernel counts it.
package enum OwnProcess {
    /// The descriptors that are connections to that port on loopback; established ones only, or also those that were left open behind their peer's end.
    package static func connections(to port: Int, established: Bool = false) throws -> [Int32] {
        let hexadecimal = String(port, radix: 16, uppercase: true)
        let remote = "0100007F:" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
        var inodes: Set<String> = []
        for line in try text(of: "net/tcp").split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ")
            if fields.count > 9, fields[2] == remote, !established || fields[3] == "01" { inodes.insert("socket:[\(fields[9])]") }
        }
        return try descriptors().filter { descriptor in
            guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)") else {
                return false
            }
            return inodes.contains(target)
        }
    }

    /// Breaks all connections to that port, as a lost network does; returns how many there were.
    package static func cutConnections(to port: Int) throws -> Int {
        let all = try connections(to: port, established: true)
        for descriptor in all { shutdown(descriptor, Int32(SHUT_RDWR)) }
        return all.count
    }

    package static func descriptors() throws -> [Int32] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
    }

    /// Bytes in memory.
    package static func memory() throws -> Int {
        guard let pages = try text(of: "statm").split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw CocoaError(.fileReadCorruptFile)
        }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }

    private static func text(of file: String) throws -> String {
        // Read to its end: its size reads as 0.
        String(decoding: try FileHandle(forReadingFrom: URL(filePath: "/proc/self/\(file)")).readToEnd() ?? Data(), as: UTF8.self)
    }
}
