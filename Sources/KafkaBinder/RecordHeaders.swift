/// The headers of one record as they are on the wire: in order, names may repeat, values are bytes or null. Packed in one array, so that a
/// received record costs one allocation for them and can be copied to a dead-letter topic byte by byte.
package struct RecordHeaders: Sendable, Hashable {
    private var packed: [UInt8] = []
    package private(set) var count = 0

    package init() {}

    package init(_ list: [(name: String, value: [UInt8]?)]) {
        for (name, value) in list { append(name, value) }
    }

    package var isEmpty: Bool { count == 0 }
    /// Roughly what they take on the wire.
    package var size: Int { packed.count }

    package mutating func append(_ name: String, _ value: [UInt8]?) {
        var name = name
        name.withUTF8 { name in
            guard let value else { return append(name: UnsafeRawBufferPointer(name), value: nil) }
            value.withUnsafeBytes { append(name: UnsafeRawBufferPointer(name), value: $0) }
        }
    }

    package mutating func append(_ name: String, _ value: String) {
        var (name, value) = (name, value)
        name.withUTF8 { name in
            value.withUTF8 { append(name: UnsafeRawBufferPointer(name), value: UnsafeRawBufferPointer($0)) }
        }
    }

    package mutating func append(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?) {
        packed.reserveCapacity(packed.count + 8 + name.count + (value?.count ?? 0))
        withUnsafeBytes(of: Int32(truncatingIfNeeded: name.count)) { packed.append(contentsOf: $0) }
        withUnsafeBytes(of: Int32(truncatingIfNeeded: value?.count ?? -1)) { packed.append(contentsOf: $0) }
        packed.append(contentsOf: name)
        if let value { packed.append(contentsOf: value) }
        count += 1
    }

    package mutating func append(contentsOf other: RecordHeaders) {
        packed += other.packed
        count += other.count
    }

    /// Each header in order; the bytes are valid during the call.
    package func forEach<Failure: Error>(
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?) throws(Failure) -> Void
    ) throws(Failure) {
        var failure: Failure?
        packed.withUnsafeBytes { all in
            var at = 0
            for _ in 0..<count {
                let nameLength = Int(all.loadUnaligned(fromByteOffset: at, as: Int32.self))
                let valueLength = Int(all.loadUnaligned(fromByteOffset: at + 4, as: Int32.self))
                let name = UnsafeRawBufferPointer(rebasing: all[(at + 8)..<(at + 8 + nameLength)])
                at += 8 + nameLength
                let value = valueLength < 0 ? nil : UnsafeRawBufferPointer(rebasing: all[at..<(at + valueLength)])
                at += max(0, valueLength)
                do throws(Failure) { try body(name, value) } catch {
                    failure = error
                    return
                }
            }
        }
        if let failure { throw failure }
    }

    /// As pairs, for what is not in a hurry.
    package var list: [(name: String, value: [UInt8]?)] {
        var list: [(name: String, value: [UInt8]?)] = []
        forEach { name, value in list.append((String(decoding: name, as: UTF8.self), value.map { Array($0) })) }
        return list
    }

    /// The last value of that name: of headers that repeat, the last one counts.
    package func last(_ name: String) -> [UInt8]? {
        var found: [UInt8]?
        forEach { candidate, value in if candidate.elementsEqual(name.utf8) { found = value.map { Array($0) } } }
        return found
    }
}
