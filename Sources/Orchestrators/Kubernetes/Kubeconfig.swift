internal import Autoscaler
internal import ConfigModel
internal import Crypto
internal import HTTPClient
internal import PropertyFormats

/// The current context of a kubeconfig: which cluster, as whom. What we cannot do is refused, not left out: a user who impersonates another must not
/// act as himself.
struct Kubeconfig: Sendable {
    var address: String
    var configuration: HTTPClientConfiguration
    var namespace: String?
    var token: String?
    var tokenFile: String?

    /// `path`: for messages, and what files named in it are relative to.
    init(_ bytes: [UInt8], path: String, configuration: HTTPClientConfiguration = HTTPClientConfiguration()) throws(TargetError) {
        let values: [String: String]
        do {
            let document = try PropertyFile.parse(bytes, as: .yaml, path: path).first
            values = Dictionary((document?.properties ?? []).map { ($0.key, $0.value.text) }, uniquingKeysWith: { first, _ in first })
        } catch {
            throw TargetError(.rejected, "\(error); a kubeconfig as kubectl writes it is needed")
        }
        func wrong(_ what: String) -> TargetError { TargetError(.rejected, "\(path): \(what)") }
        func text(_ key: String) -> String? { values[key].flatMap { $0.isEmpty ? nil : $0 } }
        /// The entry of a list that has this name.
        func entry(_ list: String, _ name: String) throws(TargetError) -> String {
            var index = 0
            while let found = values["\(list)[\(index)].name"] {
                if found == name { return "\(list)[\(index)]" }
                index += 1
            }
            throw wrong("names `\(name)`, which is not among its \(list)")
        }
        guard let context = text("current-context") else {
            throw wrong("has no `current-context`; choose one by `kubectl config use-context`")
        }
        let place = try entry("contexts", context) + ".context"
        guard let clusterName = text(place + ".cluster") else { throw wrong("context `\(context)` names no cluster") }
        let cluster = try entry("clusters", clusterName) + ".cluster"
        namespace = text(place + ".namespace")
        self.configuration = configuration
        guard let server = text(cluster + ".server"), let parts = HTTPClientRequest.address(of: server) else {
            throw wrong("cluster `\(clusterName)` has no `server` that is an http or https URL")
        }
        address = server
        while address.hasSuffix("/") { address.removeLast() }
        if let name = text(cluster + ".tls-server-name"), server.hasPrefix("https://") {
            // The certificate is judged by the host of the URL: that is the name, and the connection goes where the server is.
            let host = parts.host.contains(":") ? "[\(parts.host)]" : parts.host
            let path = server.dropFirst("https://".count).drop { $0 != "/" }
            address = "https://\(name):\(parts.port)" + (path == "/" ? "" : path)
            self.configuration.connectTo = "\(host):\(parts.port)"
        }
        if let proxy = text(cluster + ".proxy-url") { self.configuration.proxy = .url(proxy) }
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
        func file(_ key: String) -> String? { text(key).map { $0.hasPrefix("/") ? $0 : folder + $0 } }
        func decoded(_ key: String) throws(TargetError) -> [UInt8]? {
            guard let text = text(key) else { return nil }
            guard let bytes = Base64.decode(String(text.filter { !$0.isWhitespace })) else { throw wrong("`\(key)` is no base64") }
            return bytes
        }
        self.configuration.tls.authorityFile = file(cluster + ".certificate-authority")
        self.configuration.tls.authorityText = try decoded(cluster + ".certificate-authority-data")
        if text(cluster + ".insecure-skip-tls-verify") == "true" { self.configuration.tls.verifiesPeer = false }
        guard let userName = text(place + ".user") else { return }
        let user = try entry("users", userName) + ".user"
        for (key, value) in [
            ("exec", "starts a program"), ("auth-provider", "asks a plugin"), ("as", "acts as somebody else"),
            ("username", "has a password"),
        ]
        where text("\(user).\(key)") != nil
            || values.keys.contains(where: { $0.hasPrefix("\(user).\(key).") || $0.hasPrefix("\(user).\(key)[") })
        {
            throw wrong(
                "user `\(userName)` \(value) (`\(key)`), which is not done here: give it a client certificate, `token` or `tokenFile`, as of a service account"
            )
        }
        self.configuration.tls.certificateFile = file(user + ".client-certificate")
        self.configuration.tls.certificateText = try decoded(user + ".client-certificate-data")
        self.configuration.tls.keyFile = file(user + ".client-key")
        self.configuration.tls.keyText = try decoded(user + ".client-key-data")
        tokenFile = file(user + ".tokenFile")
        token = text(user + ".token")
    }
}
