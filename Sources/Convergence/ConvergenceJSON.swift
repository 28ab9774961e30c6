import Bus
import JSON
import Telemetry

/// Records as JSON.
enum ConvergenceJSON {
    static func members(of change: ChangeRecord) -> [JSONMember] {
        [
            JSONMember("id", .string(change.id)), JSONMember("kind", .string(change.kind.rawValue)),
            JSONMember("version", text(change.version)), JSONMember("label", text(change.label)),
            JSONMember("commit", text(change.commit.id ?? change.version)), JSONMember("author", text(change.commit.author)),
            JSONMember("committed", text(change.commit.time.map { Timestamp(milliseconds: $0).text })),
            JSONMember("time", .string(change.time.text)), JSONMember("origin", .string(change.origin)),
            JSONMember("destination", text(change.destinations.first)),
            JSONMember("destinations", .array(change.destinations.map(JSONValue.string))),
            JSONMember("keys", .array(change.keys.map(JSONValue.string))), JSONMember("keyCount", .number(String(change.keyCount))),
        ]
    }

    static func value(_ row: InstanceView) -> JSONValue {
        .object([
            JSONMember("instance", .string(row.instance)), JSONMember("application", .string(row.application)),
            JSONMember("profiles", .array(row.profiles.map(JSONValue.string))), JSONMember("label", text(row.running.label)),
            JSONMember("version", text(row.running.version)), JSONMember("hash", text(row.running.hash)),
            JSONMember("outcome", .string(row.outcome)), JSONMember("concerned", .boolean(row.isConcerned)),
            JSONMember("converged", .boolean(row.hasConverged)),
            JSONMember("time", .string(row.time.text)), JSONMember("error", text(row.error)),
        ])
    }

    private static func text(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? .null }
}
