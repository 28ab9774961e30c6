import ConfigModel
import Foundation
import HTTP
import HTTPClient
import Options

/// `carillon get`: the configuration that a service is given.
enum Get: Verb {
    static let command = Command(
        "get", summary: "Shows the configuration of an application.",
        explanation: "Prints what wins for each key. --sources shows each file's share, highest precedence first, as the server sends it.",
        arguments: [
            .init("APP", "the application, or several with commas"),
            .init("PROFILES", "profiles with commas; `default` unless given", isRequired: false),
            .init("LABEL", "branch, tag or commit; the server's default unless given", isRequired: false),
        ],
        options: [
            .init("key", value: "KEY", "print the value of this key alone; exit code 1 when there is none"),
            .init("format", value: "FORMAT", "properties (default), yaml or json"),
            .init("sources", "the environment with its property sources and origins, as JSON"),
            .init("json", "the same as --format json"),
        ] + Server.options,
        examples: ["carillon get orders prod", "carillon get orders prod --key pool.size", "carillon get orders prod v1.4 --format yaml"])

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        let server = try Server(invocation)
        let application = invocation.arguments[0]
        let profiles = invocation.arguments.count > 1 ? invocation.arguments[1] : "default"
        let label = invocation.arguments.count > 2 ? invocation.arguments[2] : nil
        func segment(_ text: String) -> String { PercentEncoding.encode(text.replacing("/", with: "(_)"), keeping: ",()") }
        let path = "/\(segment(application))/\(segment(profiles))" + (label.map { "/" + segment($0) } ?? "")

        if invocation.has("sources") {
            let response = try await server.send("GET", path, headers: ["Accept": "application/vnd.spring-cloud.config-server.v2+json"])
            terminal.print(response.text)
            return 0
        }
        if let key = invocation.value("key") {
            let response = try await server.send("GET", path, headers: ["Accept": "application/json"])
            let environment = try EnvironmentJSON.decode(response.body)
            let values = Placeholders.values(of: environment)
            guard environment.merged[key] != nil, let value = values[key] else {
                terminal.complain("carillon: `\(key)` is not set for \(application), \(profiles)")
                return 1
            }
            terminal.print(try Placeholders.resolve(value) { values[$0] })
            return 0
        }
        let format = invocation.has("json") ? "json" : invocation.value("format") ?? "properties"
        guard let ending = ["properties": "properties", "yaml": "yml", "yml": "yml", "json": "json"][format] else {
            throw Failure("`--format \(format)` is none of properties, yaml, json", code: 2)
        }
        let flat = (label.map { "/" + segment($0) } ?? "") + "/\(segment(application))-\(segment(profiles)).\(ending)"
        let text = try await server.send("GET", flat).text
        terminal.print(text, end: text.hasSuffix("\n") ? "" : "\n")
        return 0
    }
}
