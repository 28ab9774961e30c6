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

    /// What to try where what is published to cannot be reached; follows the reason, which for a Carillon server says a part of it.
    static func remedy(_ invocation: Invocation) -> String {
        guard let uri = invocation.value("binder") else { return Server.remedy }
        return uri.hasPrefix("http") ? " (--binder)" : "; start that broker or correct its address (--binder)"
    }

    /// What a call failed for, and what to try where it is the server or the broker that cannot be reached.
    static func reason(_ error: BinderError, _ invocation: Invocation) -> String {
        error.message + (error.code == .unreachable ? remedy(invocation) : "")
    }
}
