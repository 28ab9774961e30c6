package import Bus
import Crypto
import Streams

/// What the bus has told of changes lately, by label, so that several servers beside the same repository tell each change once. A value without
/// I/O.
///
/// A server that sees another's refresh for a step does not tell the same destination again. Where both tell at the same moment, their events have
/// the same id, and receivers drop the second: the id is made of the step, the destination, and the ids of what was told before the step. So
/// the same step taken again, after the repository was moved back, is another event. A server that has not seen what was told before, because
/// it has just started, takes a random id: a refresh too many does no harm, one that is dropped does.
package struct ToldChanges: Sendable {
    private struct Telling {
        let version: String
        /// The event for each destination; of several the one with the greatest id, so that all servers come to know the same.
        var events: [String: String] = [:]
    }
    /// By label, oldest first.
    private var tellings: [String: [Telling]] = [:]
    private static let labelLimit = 1000
    private static let historyLimit = 16
    private static let destinationLimit = 1000

    package init() {}

    /// A refresh of another server was seen on the bus.
    package mutating func record(_ message: BusMessage) {
        guard message.event.kind == .refresh, let version = message.details.version else { return }
        record(message.details.label, version, DestinationPattern.normalised(message.event.destination), message.event.id)
    }

    /// The id of the event that is to tell `destination` of a step; it counts as told from now on. Nil where it is told already.
    package mutating func tell(label: String?, from: String?, to: String, destination: String) -> String? {
        let destination = DestinationPattern.normalised(destination)
        let expected = id(label, from, to, destination)
        if let last = tellings[label ?? ""]?.last, last.version == to, let seen = last.events[destination] {
            // Another server's id for this step, or of one that has just started and could not make it.
            if expected == nil || seen == expected || !Self.isMade(seen) { return nil }
        }
        let id = expected ?? Identifier.random()
        record(label, to, destination, id)
        return id
    }

    /// The event that was to tell `destination` of a version did not get out.
    package mutating func didNotTell(label: String?, version: String, destination: String) {
        guard var history = tellings[label ?? ""], let index = history.lastIndex(where: { $0.version == version }) else { return }
        history[index].events[DestinationPattern.normalised(destination)] = nil
        if history[index].events.isEmpty { history.remove(at: index) }
        tellings[label ?? ""] = history
    }

    private mutating func record(_ label: String?, _ version: String, _ destination: String, _ id: String) {
        let label = label ?? ""
        guard tellings[label] != nil || tellings.count < Self.labelLimit else { return }
        var history = tellings[label] ?? []
        if history.last?.version != version {
            history.append(Telling(version: version))
            if history.count > Self.historyLimit { history.removeFirst() }
        }
        let last = history.count - 1
        if history[last].events[destination] != nil || history[last].events.count < Self.destinationLimit {
            history[last].events[destination] = max(history[last].events[destination] ?? "", id)
        }
        tellings[label] = history
    }

    private func id(_ label: String?, _ from: String?, _ to: String, _ destination: String) -> String? {
        guard let from, let before = tellings[label ?? ""]?.last(where: { $0.version == from })?.events.values.max() else { return nil }
        let parts = [label ?? "", from, to, destination, before]
        var bytes = Array(SHA256.digest(of: Array(parts.joined(separator: "\u{0}").utf8)).prefix(16))
        // The form of a UUID of a scheme of one's own (RFC 9562, version 8).
        bytes[6] = bytes[6] & 0x0F | 0x80
        bytes[8] = bytes[8] & 0x3F | 0x80
        return [bytes[0..<4], bytes[4..<6], bytes[6..<8], bytes[8..<10], bytes[10..<16]].map { Hexadecimal.encode(Array($0)) }
            .joined(separator: "-")
    }

    private static func isMade(_ id: String) -> Bool { id.utf8.count == 36 && id.utf8.dropFirst(14).first == UInt8(ascii: "8") }
}
