internal import Files
internal import Glibc
internal import JSON
internal import Processes

/// What a server has to know of the workers of a policy that an earlier one has started: a small file, whole or not at all.
struct WorkerRecord: Sendable, Hashable {
    struct Entry: Sendable, Hashable {
        var number: Int
        var process: ProcessIdentity
        /// When it is to be killed, in nanoseconds since this boot of the machine; nil: it is wanted.
        var leavingUntil: UInt64?
        /// It has got the signal to leave: a second one many programs take for an order to leave at once.
        var isTold = false
    }
    /// The boot of the machine in which the numbers of processes hold; nil where the system does not tell.
    var boot: String?
    var ordered: Int
    var entries: [Entry]

    struct Unreadable: Error, CustomStringConvertible {
        let path: String
        let reason: String
        var description: String {
            "\(path) cannot be read (\(reason)), so nobody knows which workers run: end those of this policy by hand, and then remove the file"
        }
    }

    /// The policies of which there is a record. Blocks.
    static func policies(in path: String) -> Set<String> {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var found: Set<String> = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name.hasSuffix(".json") { found.insert(String(name.dropLast(5))) }
        }
        return found
    }

    /// Nil where there is no such file. Blocks.
    static func read(_ path: String) throws(Unreadable) -> WorkerRecord? {
        let root: JSONValue
        do {
            guard let bytes = try PrivateFile.read(path, limit: 16 << 20) else { return nil }
            root = try JSONReader.read(bytes)
        } catch {
            throw Unreadable(path: path, reason: "\(error)")
        }
        guard let ordered = root["ordered"]?.integer, case .array(let items) = root["workers"] else {
            throw Unreadable(path: path, reason: "it has no `ordered` or no `workers`")
        }
        var entries: [Entry] = []
        for item in items {
            guard let number = item["number"]?.integer.flatMap({ Int(exactly: $0) }), number > 0,
                let pid = item["process"]?.integer.flatMap({ Int32(exactly: $0) }), pid > 1,
                let start = item["start"]?.integer.flatMap({ UInt64(exactly: $0) })
            else { throw Unreadable(path: path, reason: "a worker in it has no number, process or start") }
            entries.append(
                Entry(
                    number: number, process: ProcessIdentity(number: pid, start: start),
                    leavingUntil: item["leavingUntil"]?.integer.map { UInt64(max(0, $0)) }, isTold: item["told"] == .boolean(true)))
        }
        return WorkerRecord(boot: root["boot"]?.string, ordered: Int(clamping: ordered), entries: entries)
    }

    /// On disk when it returns. Blocks.
    func write(_ path: String, policy: String) throws {
        func number(_ value: some BinaryInteger) -> JSONValue { .number(String(value)) }
        let workers = entries.sorted { $0.number < $1.number }.map { entry -> JSONValue in
            var members = [
                JSONMember("number", number(entry.number)), JSONMember("instance", .string("\(policy)-\(entry.number)")),
                JSONMember("process", number(entry.process.number)), JSONMember("start", number(entry.process.start)),
            ]
            if let until = entry.leavingUntil {
                members += [JSONMember("leavingUntil", number(until)), JSONMember("told", .boolean(entry.isTold))]
            }
            return .object(members)
        }
        let root = JSONValue.object([
            JSONMember("policy", .string(policy)), JSONMember("boot", boot.map { .string($0) } ?? .null),
            JSONMember("ordered", number(ordered)), JSONMember("workers", .array(workers)),
        ])
        try PrivateFile.write(Array((root.written + "\n").utf8), to: path, mode: 0o600)
    }
}
