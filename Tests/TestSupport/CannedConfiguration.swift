package import HTTP
import Locking

/// A configuration server whose answers a test sets: environments in the second form, entity tags, versions.
package final class CannedConfiguration: HTTPHandler {
    package struct Answer: Sendable {
        package var values: [String: String]
        package var version: String
        /// Answered instead, where it is not 200.
        package var status = 200
        /// Sent beside entity tag and version.
        package var fields: [String: String] = [:]
        package init(_ values: [String: String], version: String) {
            self.values = values
            self.version = version
        }
    }
    private let state: Locked<(answer: Answer, requests: [HTTPRequest])>

    package init(_ values: [String: String], version: String = "v1") { state = Locked((Answer(values, version: version), [])) }

    package func set(_ values: [String: String], version: String) { state.withLock { $0.answer = Answer(values, version: version) } }
    package func set(status: Int) { state.withLock { $0.answer.status = status } }
    package func set(fields: [String: String]) { state.withLock { $0.answer.fields = fields } }
    /// All requests so far.
    package var requests: [HTTPRequest] { state.withLock { $0.requests } }

    package func respond(to request: HTTPRequest) async -> HTTPResponse {
        let answer = state.withLock { state in
            state.requests.append(request)
            return state.answer
        }
        guard answer.status == 200 else { return HTTPResponse(answer.status, text: "no\n") }
        let json = Self.json(answer)
        let tag = "\"\(Self.hash(answer.values))\""
        var headers: HTTPHeaders = ["ETag": tag, "X-Config-Version": answer.version]
        for (name, value) in answer.fields { headers[name] = value }
        if request.headers["If-None-Match"] == tag { return HTTPResponse(304, headers: headers) }
        return HTTPResponse(text: json, type: request.headers["Accept"] ?? "application/json", headers: headers)
    }

    private static func hash(_ values: [String: String]) -> String {
        var hash: UInt64 = 14_695_981_039_346_656_037
        for byte in values.sorted(by: { $0.key < $1.key }).map({ "\($0.key)=\($0.value);" }).joined().utf8 {
            hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211
        }
        return String(hash, radix: 16)
    }

    /// The environment as a server sends it.
    package static func json(_ answer: Answer) -> String {
        func quoted(_ text: String) -> String {
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n") + "\""
        }
        let pairs = answer.values.sorted { $0.key < $1.key }.enumerated().map { index, pair in
            "\(quoted(pair.key)):{\"value\":\(quoted(pair.value)),\"origin\":\"\(index + 1):3\"}"
        }
        return "{\"name\":\"app\",\"profiles\":[\"default\"],\"label\":null,\"version\":\(quoted(answer.version)),\"state\":\"\","
            + "\"propertySources\":[{\"name\":\"file:app.yml\",\"source\":{\(pairs.joined(separator: ","))}}]}"
    }
}
