import Glibc
import Locking

/// Structured log lines, one JSON object a line, to standard error unless told otherwise.
///
/// `{"time":"2026-01-01T00:00:00.000Z","level":"info","part":"bus","message":"…","key":"value"}`. Never hand it a secret or a payload.
package struct Log: Sendable {
    package enum Level: Int, Sendable, Comparable, CaseIterable {
        case debug, info, warning, error
        package static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
        package var name: String { "\(self)" }
    }

    package let part: String
    package let minimum: Level
    private let sink: @Sendable (Level, String) -> Void

    /// `sink` gets the level and the finished line without its line feed; it is called from any thread.
    package init(part: String, minimum: Level = .info, sink: @escaping @Sendable (Level, String) -> Void = Log.standardError) {
        self.part = part
        self.minimum = minimum
        self.sink = sink
    }

    /// Says nothing: the default of libraries, so that a user of one decides where its lines go.
    package static let silent = Log(part: "", minimum: .error, sink: { _, _ in })

    /// The same log for another part of the program.
    package func of(_ part: String) -> Log { Log(part: part, minimum: minimum, sink: sink) }

    package func debug(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.debug, message, fields) }
    package func info(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.info, message, fields) }
    package func warning(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.warning, message, fields) }
    package func error(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.error, message, fields) }

    private func write(_ level: Level, _ message: String, _ fields: KeyValuePairs<String, String>) {
        guard level >= minimum else { return }
        var line = "{\"time\":\"\(Timestamp.now.text)\",\"level\":\"\(level.name)\",\"part\":"
        JSONText.append(part, to: &line)
        line += ",\"message\":"
        JSONText.append(message, to: &line)
        for (key, value) in fields {
            line += ","
            JSONText.append(key, to: &line)
            line += ":"
            JSONText.append(value, to: &line)
        }
        line += "}"
        sink(level, line)
    }

    package static let standardError: @Sendable (Level, String) -> Void = { _, line in
        var bytes = Array(line.utf8)
        bytes.append(10)
        _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }  // one write a line: lines of several threads do not mix
    }
}

/// JSON string escaping for lines that are written by hand.
package enum JSONText {
    /// Appends `text` as a JSON string with its quotes.
    package static func append(_ text: String, to line: inout String) {
        line += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": line += "\\\""
            case "\\": line += "\\\\"
            case "\n": line += "\\n"
            case "\r": line += "\\r"
            case "\t": line += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let hex = String(scalar.value, radix: 16)
                line += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: line.unicodeScalars.append(scalar)
            }
        }
        line += "\""
    }
}

/// A moment of the wall clock.
package struct Timestamp: Sendable, Hashable, Comparable {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    package var milliseconds: Int64
    package init(milliseconds: Int64) { self.milliseconds = milliseconds }
    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    package static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// RFC 3339 in UTC with milliseconds: `2026-01-01T00:00:00.000Z`.
    package var text: String {
        var seconds = time_t(milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000)
        let rest = Int(milliseconds - Int64(seconds) * 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func pad(_ number: Int, _ width: Int = 2) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(Int(parts.tm_mon) + 1))-\(pad(Int(parts.tm_mday)))"
            + "T\(pad(Int(parts.tm_hour))):\(pad(Int(parts.tm_min))):\(pad(Int(parts.tm_sec))).\(pad(rest, 3))Z"
    }
}
