import Foundation
import HTTP
import HTTPClient
import Options
import Telemetry

/// `carillon refresh`: one event that tells instances to read their configuration again.
enum Refresh: Verb {
    static let command = Command(
        "refresh", summary: "Tells instances to read their configuration again.",
        explanation:
            "DESTINATION addresses them as Spring Cloud Bus does: `orders` or `orders:**` is every instance of orders, `**` everybody.",
        arguments: [.init("DESTINATION", "whom to tell; everybody unless given", isRequired: false)],
        options: [.init("json", "print the event's id and destination as JSON")] + Server.options,
        examples: ["carillon refresh", "carillon refresh orders", "carillon refresh 'orders:prod:**'"])

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        let server = try Server(invocation)
        let query = invocation.arguments.first.map { "?destination=" + PercentEncoding.encode($0) } ?? ""
        let response = try await server.send("POST", "/bus/refresh" + query)
        if invocation.has("json") {
            var line = "{\"event\":"
            JSONText.append(response.headers["X-Carillon-Event"] ?? "", to: &line)
            line += ",\"destination\":"
            JSONText.append(invocation.arguments.first ?? "**", to: &line)
            terminal.print(line + "}")
            return 0
        }
        let event = response.headers["X-Carillon-Event"].map { " as event \($0)" } ?? ""
        terminal.print("told \(invocation.arguments.first ?? "everybody")\(event); `carillon status` shows who took it over")
        return 0
    }
}
