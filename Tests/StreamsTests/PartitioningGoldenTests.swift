import Foundation
import Streams
import TestSupport
import Testing

@Suite struct PartitioningGoldenTests {
    private struct Document: Decodable {
        struct Vector: Decodable {
            let key: String
            let partition: Int
        }
        let vectors: [String: [Vector]]
    }

    @Test func `keys meet in the partitions in which the original puts them`() throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "stream-").filter({ $0.name.contains("partition-vectors") }) {
            var report = GoldenReport(recording.name)
            let document = try JSONDecoder().decode(Document.self, from: Data(try recording.bytes()))
            for (count, vectors) in document.vectors {
                let partitioner = try Partitioner(count: try #require(Int(count)))
                for vector in vectors {
                    let envelope = try partitioner.assigning(Envelope(payload: [], key: vector.key))
                    let ok = envelope.headers["scst_partition"] == .integer(Int64(vector.partition))
                    report.played(ok)
                    #expect(ok, "\(vector.key) of \(count)")
                }
            }
            #expect(report.count > 0)
            report.show()
        }
    }

    @Test(arguments: [("", 0), ("a", 97), ("polygenelubricants", Int32.min), ("😀", 1_772_899)] as [(String, Int32)])
    func `the hash is Java's`(key: String, hash: Int32) { #expect(Partitioning.javaHash(key) == hash) }

    @Test func `an event without a key has no partition`() throws {
        let partitioner = try Partitioner(count: 3)
        #expect(throws: BinderError.self) { try partitioner.partition(of: Envelope(payload: [])) }
        #expect(throws: BinderError.self) { try Partitioner(count: 0) }
    }
}
