import Crypto
package import HTTP

/// The proof that a web hook comes from somebody who knows the secret.
package enum WebhookSignature {
    /// Whether the request shows the secret in one of the ways that the senders have: the body's HMAC (GitHub, Gitea, Gogs, Bitbucket) or the secret
    /// itself (GitLab, Gitee). Compared in constant time.
    package static func isValid(_ request: HTTPRequest, secret: String) -> Bool {
        guard !secret.isEmpty else { return false }
        for name in ["X-Gitlab-Token", "X-Gitee-Token"] {
            if let token = request.headers[name], ConstantTime.equal(token, secret) { return true }
        }
        let shown =
            ["X-Hub-Signature-256", "X-Hub-Signature"].compactMap { request.headers[$0] }.compactMap { value -> Substring? in
                // Bitbucket writes sha256 under the older name; what GitHub writes there (sha1) is not looked at.
                value.hasPrefix("sha256=") ? value.dropFirst(7) : nil
            } + ["X-Gitea-Signature", "X-Gogs-Signature"].compactMap { request.headers[$0]?[...] }
        guard !shown.isEmpty else { return false }
        let right = HMAC.sha256(request.body, key: Array(secret.utf8))
        return shown.contains { Hexadecimal.decode(String($0)).map { ConstantTime.equal($0, right) } ?? false }
    }
}
