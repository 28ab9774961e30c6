import CCurl

/// A URL as libcurl understands it, so that what is checked is what is asked.
struct URLParts {
    let text: String
    let scheme: String
    private let user: String?
    private let password: String?
    /// In lower case; an IPv6 address in brackets.
    let host: String
    let origin: String
    let port: Int

    init?(_ url: String) { self.init(url, base: nil) }

    /// The URL that a reference means when it is read at this one.
    func resolve(_ reference: String) -> URLParts? { URLParts(reference, base: text) }

    var credentials: HTTPClientRequest.Credentials? { user.map { HTTPClientRequest.Credentials(user: $0, password: password ?? "") } }

    private init?(_ url: String, base: String?) {
        guard let handle = curl_url() else { return nil }
        defer { curl_url_cleanup(handle) }
        if let base { guard curl_url_set(handle, CURLUPART_URL, base, 0) == CURLUE_OK else { return nil } }
        guard curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK else { return nil }
        func part(_ what: CURLUPart, _ flags: UInt32 = 0) -> String? {
            var pointer: UnsafeMutablePointer<CChar>?
            guard curl_url_get(handle, what, &pointer, flags) == CURLUE_OK, let pointer else { return nil }
            defer { curl_free(pointer) }
            return String(cString: pointer)
        }
        guard let scheme = part(CURLUPART_SCHEME)?.lowercased(), scheme == "http" || scheme == "https", let host = part(CURLUPART_HOST),
            let port = part(CURLUPART_PORT, UInt32(CURLU_DEFAULT_PORT))
        else { return nil }
        user = part(CURLUPART_USER, UInt32(CURLU_URLDECODE))
        password = part(CURLUPART_PASSWORD, UInt32(CURLU_URLDECODE))
        self.host = host.lowercased()
        origin = "\(scheme)://\(self.host):\(port)"
        self.scheme = scheme
        self.port = Int(port) ?? 0
        curl_url_set(handle, CURLUPART_FRAGMENT, nil, 0)
        guard let text = part(CURLUPART_URL) else { return nil }
        self.text = text
    }
}
