import Files
import Processes
import TestSupport
import Testing

@testable import Orchestrators

@Suite struct LocalRecordTests {
    @Test func `reads what it has written`() async throws {
        try await withTemporaryFolder { folder in
            let path = "\(folder)/orders.json"
            #expect(try WorkerRecord.read(path) == nil)
            let record = WorkerRecord(
                boot: "b", ordered: 3,
                entries: [
                    WorkerRecord.Entry(number: 1, process: ProcessIdentity(number: 17, start: 99)),
                    WorkerRecord.Entry(number: 2, process: ProcessIdentity(number: 18, start: 1), leavingUntil: 0),
                    WorkerRecord.Entry(
                        number: 9, process: ProcessIdentity(number: 19, start: 5), leavingUntil: 123_456_789_000, isTold: true),
                ])
            try record.write(path, policy: "orders")
            #expect(try WorkerRecord.read(path) == record)
        }
    }

    @Test(arguments: [
        "", "{", "[]", "{\"ordered\":1}", "{\"ordered\":\"x\",\"workers\":[]}", "{\"ordered\":1,\"workers\":[{}]}",
        "{\"ordered\":1,\"workers\":[{\"number\":1,\"process\":1,\"start\":1}]}",
        "{\"ordered\":1,\"workers\":[{\"number\":1,\"process\":99999999999,\"start\":1}]}",
        "{\"ordered\":1,\"workers\":[{\"number\":0,\"process\":5,\"start\":1}]}",
        "{\"ordered\":1,\"workers\":[{\"number\":1,\"process\":5,\"start\":-1}]}",
    ])
    func `a file that cannot be read is not taken for none`(text: String) async throws {
        try await withTemporaryFolder { folder in
            let path = "\(folder)/orders.json"
            try PrivateFile.write(Array(text.utf8), to: path, mode: 0o600)
            let error = #expect(throws: WorkerRecord.Unreadable.self) { try WorkerRecord.read(path) }
            #expect(error?.description.contains(path) == true)
        }
    }

    @Test func `only one holds the lock of a policy`() async throws {
        try await withTemporaryFolder { folder in
            var first: PolicyLock? = try PolicyLock("\(folder)/orders.lock")
            let taken = #expect(throws: PolicyLock.Taken.self) { try PolicyLock("\(folder)/orders.lock") }
            #expect(taken?.description.contains("data folder of its own") == true && taken?.holder.isEmpty == false)
            withExtendedLifetime(first) {}
            first = nil
            _ = try PolicyLock("\(folder)/orders.lock")
        }
    }
}
