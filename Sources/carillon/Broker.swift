import Binders
import Options
import Roles
import Streams
import Telemetry

/// The broker that a command talks to: the server's event channels, or the broker itself where `--binder` names one.
enum Broker {
    /// The URIs that `--binder` takes, for its help; `BinderURI` has their options.
    static let uris = "amqp://user:password@host:port, kafka://…, redis://…, http://… (with TLS amqps:// and so on), local:FOLDER"

    static let options =
        [Command.Option("binder", value: "URI", "talk to this broker instead of the server: \(uris)")]
        + Server.options

    static func binder(_ invocation: Invocation, log: Log) throws -> any Binder {
        let server = try Server(invocation)
        return try BinderURI(invocation.value("binder") ?? server.url).binder(
            token: server.token, authorityFile: server.authorityFile, log: log)
    }

    /// What a call failed for, and what to try where it is the server that cannot be reached.
    static func reason(_ error: BinderError, _ invocation: Invocation) -> String {
        error.message + (error.code == .unreachable && !invocation.has("binder") ? Server.remedy : "")
    }
}
