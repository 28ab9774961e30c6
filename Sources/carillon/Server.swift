import Foundation
import HTTP
import HTTPClient
import Options

/// The server that a command talks to, from `--server`, `--token-file` and `--ca`.
struct Server: Sendable {
    let url: String
    let token: String?
    let client: HTTPClient
    let authorityFile: String?

    static let options: [Command.Option] = [
        .init("server", value: "URL", "the Carillon server; http://127.0.0.1:8888 unless given", environment: "CARILLON_SERVER"),
        .init("token-file", value: "FILE", "file with the token that the server asks for", environment: "CARILLON_TOKEN_FILE"),
        .init("ca", value: "FILE", "certificates (PEM) that the server's is checked against", environment: "CARILLON_CA"),
    ]

    init(_ invocation: Invocation) throws {
        var url = invocation.value("server") ?? "http://127.0.0.1:8888"
        while url.hasSuffix("/") { url.removeLast() }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw Failure("`--server \(url)` is no URL: http://HOST:PORT or https://HOST:PORT", code: 2)
        }
        self.url = url
        token = try invocation.value("token-file").map { try Self.token(in: $0) }
        authorityFile = invocation.value("ca")
        var configuration = HTTPClientConfiguration()
        configuration.tls.authorityFile = authorityFile
        client = HTTPClient(configuration)
    }

    /// Behind what is said of a server that cannot be reached.
    static let remedy = " (--server URL or $CARILLON_SERVER names another)"

    /// The token in a file.
    static func token(in path: String) throws -> String {
        guard let data = FileManager.default.contents(atPath: path) else { throw Failure("cannot read the token in \(path)", code: 2) }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Sends and returns an answer of success; every other one is a `Failure` with what the server said.
    func send(
        _ method: String, _ path: String, headers: HTTPHeaders = [:], body: [UInt8] = [], limit: Duration? = nil, accepting: Set<Int> = []
    ) async throws -> HTTPClientResponse {
        var headers = headers
        if let token { headers["Authorization"] = "Bearer \(token)" }
        let request = HTTPClientRequest(method, url + path, headers: headers, body: body, totalLimit: limit)
        let response: HTTPClientResponse
        do {
            response = try await client.send(request)
        } catch {
            throw Failure(error.message + Self.remedy)
        }
        guard response.isSuccess || accepting.contains(response.status) else {
            throw Failure("\(request.shownURL) answered \(response.status): \(Self.reason(response))")
        }
        return response
    }

    /// What the server said is wrong, on one line.
    private static func reason(_ response: HTTPClientResponse) -> String {
        if let object = try? JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any] {
            for key in ["message", "error", "description"] {
                if let text = object[key] as? String, !text.isEmpty { return text }
            }
        }
        let text = response.text.prefix(500).split(whereSeparator: \.isNewline).joined(separator: " ")
        return text.isEmpty ? "no reason given" : text
    }
}
