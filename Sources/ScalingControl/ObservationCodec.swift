package import Autoscaler

/// Observations as few bytes: a ledger holds one for each decision, and the decision is made again from it.
///
/// Numbers as varints and IEEE 754; whole numbers, which counters are, in as few bytes as they need.
package enum ObservationCodec {
    package struct Malformed: Error, CustomStringConvertible {
        package var description: String { "the bytes are no observation" }
    }

    package static func append(_ observation: Observation, to bytes: inout [UInt8]) {
        append(observation.time, to: &bytes)
        append(observation.elapsed, to: &bytes)
        if let current = observation.current {
            bytes.append(1)
            for count in [current.desired, current.ready, current.starting] { append(UInt64(count), to: &bytes) }
        } else {
            bytes.append(0)
        }
        append(UInt64(observation.queues.count), to: &bytes)
        for queue in observation.queues {
            for reading in [queue.backlog, queue.published, queue.acknowledged, queue.oldest, queue.partitions] {
                append(reading, to: &bytes)
            }
        }
        for readings in [observation.resources, observation.parameters] {
            append(UInt64(readings.count), to: &bytes)
            for (name, reading) in readings.sorted(by: { $0.key < $1.key }) {
                append(name, to: &bytes)
                append(reading, to: &bytes)
            }
        }
        switch observation.standing {
        case nil: bytes.append(0)
        case .owned(let text):
            bytes.append(1)
            append(text, to: &bytes)
        case .locked(let text):
            bytes.append(2)
            append(text, to: &bytes)
        case .held(let until):
            bytes.append(3)
            append(until, to: &bytes)
        case .set(let count, let until):
            bytes.append(4)
            append(UInt64(max(0, count)), to: &bytes)
            append(until, to: &bytes)
        }
    }

    /// Reads what `append` wrote.
    package static func read(_ bytes: [UInt8]) throws(Malformed) -> Observation {
        var reader = ObservationReader(bytes)
        return try reader.observation()
    }

    static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        var left = number
        while left >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: left) | 0x80)
            left >>= 7
        }
        bytes.append(UInt8(left))
    }

    static func append(_ text: String, to bytes: inout [UInt8]) {
        append(UInt64(text.utf8.count), to: &bytes)
        bytes.append(contentsOf: text.utf8)
    }

    /// One bit tells a count of thousandths, which times and counters are, from other numbers.
    static func append(_ number: Double, to bytes: inout [UInt8]) {
        let thousandths = (number * 1000).rounded()
        if number >= 0, thousandths < 9e15, thousandths / 1000 == number, number.sign == .plus {
            append(UInt64(thousandths) << 1, to: &bytes)
        } else {
            bytes.append(1)
            withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        }
    }

    private static func append(_ reading: Reading, to bytes: inout [UInt8]) {
        guard let value = reading.value else { return bytes.append(0) }
        bytes.append(reading.age == 0 ? 1 : 2)
        append(value, to: &bytes)
        if reading.age != 0 { append(reading.age, to: &bytes) }
    }
}

/// Reads what `ObservationCodec` wrote; no bytes trap.
struct ObservationReader {
    private var rest: ArraySlice<UInt8>
    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func byte() throws(ObservationCodec.Malformed) -> UInt8 {
        guard let byte = rest.popFirst() else { throw ObservationCodec.Malformed() }
        return byte
    }

    mutating func number() throws(ObservationCodec.Malformed) -> UInt64 {
        var number: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let byte = try byte()
            number |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return number }
        }
        throw ObservationCodec.Malformed()
    }

    mutating func count() throws(ObservationCodec.Malformed) -> Int {
        guard let count = Int(exactly: try number()), count <= 1 << 40 else { throw ObservationCodec.Malformed() }
        return count
    }

    mutating func text() throws(ObservationCodec.Malformed) -> String {
        let length = try count()
        guard length <= rest.count else { throw ObservationCodec.Malformed() }
        defer { rest.removeFirst(length) }
        return String(decoding: rest.prefix(length), as: UTF8.self)
    }

    mutating func real() throws(ObservationCodec.Malformed) -> Double {
        guard rest.first == 1 else { return Double(try number() >> 1) / 1000 }
        rest.removeFirst()
        guard rest.count >= 8 else { throw ObservationCodec.Malformed() }
        defer { rest.removeFirst(8) }
        return Double(bitPattern: rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })
    }

    private mutating func reading() throws(ObservationCodec.Malformed) -> Reading {
        switch try byte() {
        case 0: return .unknown
        case 1: return Reading(try real())
        default: return Reading(try real(), age: try real())
        }
    }

    mutating func observation() throws(ObservationCodec.Malformed) -> Observation {
        var observation = Observation(time: try real(), elapsed: try real(), current: nil)
        if try byte() == 1 {
            observation.current = InstanceCount(desired: try count(), ready: try count(), starting: try count())
        }
        for _ in 0..<(try length()) {
            observation.queues.append(
                QueueReading(
                    backlog: try reading(), published: try reading(), acknowledged: try reading(), oldest: try reading(),
                    partitions: try reading()))
        }
        for _ in 0..<(try length()) { observation.resources[try text()] = try reading() }
        for _ in 0..<(try length()) { observation.parameters[try text()] = try reading() }
        switch try byte() {
        case 1: observation.standing = .owned(try text())
        case 2: observation.standing = .locked(try text())
        case 3: observation.standing = .held(until: try real())
        case 4: observation.standing = .set(try count(), until: try real())
        default: break
        }
        return observation
    }

    /// Of a list: no more items than there are bytes.
    private mutating func length() throws(ObservationCodec.Malformed) -> Int {
        let length = try count()
        guard length <= rest.count else { throw ObservationCodec.Malformed() }
        return length
    }
}
