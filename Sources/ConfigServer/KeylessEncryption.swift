import HTTP
import Telemetry

/// The encryption routes of a server that was given no key.
struct KeylessEncryption {
    let prefix: [String]

    func add(to router: inout Router) {
        let base = prefix.map { "/" + $0 }.joined()
        for path in ["/key", "/key/{application}/{profiles}"] {
            router.add("GET", base + path) { _, _ in Self.answer(404, "NOT_FOUND", "No public key available") }
        }
        router.add("GET", base + "/encrypt/status") { request, _ in
            ErrorBody.response(500, "No key was installed for encryption service", request)
        }
        for verb in ["encrypt", "decrypt"] {
            for path in ["/\(verb)", "/\(verb)/{application}/{profiles}"] {
                router.add("POST", base + path) { request, values in
                    guard request.body.isEmpty else { return Self.answer(404, "NO_KEY", "No key was installed for encryption service") }
                    let names = values.isEmpty ? "" : "java.lang.String,java.lang.String,"
                    return ErrorBody.response(
                        400,
                        "Required request body is missing: public java.lang.String org.springframework.cloud.config.server.encryption."
                            + "EncryptionController.\(verb)(\(names)java.lang.String,org.springframework.http.MediaType)", request)
                }
            }
        }
    }

    private static func answer(_ status: Int, _ word: String, _ description: String) -> HTTPResponse {
        var text = "{\"description\":"
        JSONText.append(description, to: &text)
        text += ",\"status\":"
        JSONText.append(word, to: &text)
        return HTTPResponse(status, bytes: Array((text + "}").utf8), type: "application/json")
    }
}
