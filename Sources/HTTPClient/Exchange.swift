import CCurl
import HTTP

/// One transfer on the loop's thread: libcurl's easy handle and what its callbacks have gathered. Never leaves the thread.
final class Exchange {
    let easy: UnsafeMutableRawPointer
    let sink: any TransferSink
    let request: HTTPClientRequest
    private let unixSocket: String?
    /// How long nothing may come, and since when nothing came.
    let idleLimit: Duration
    var lastActivity = ContinuousClock.now
    var isPaused = false
    private var uploaded: curl_off_t = 0
    /// What a callback found wrong: says more than libcurl's "callback failed".
    private(set) var failure: HTTPClientError?

    private var status = 0
    private var headers = HTTPHeaders()
    private var headerBytes = 0
    private var isHeadDone = false
    private var bodyBytes = 0
    private var fields: UnsafeMutablePointer<curl_slist>?
    private var route: UnsafeMutablePointer<curl_slist>?
    private let reason: UnsafeMutablePointer<CChar>
    /// What judges the addresses that are connected to; nil where all may be.
    private let door: UnsafeMutablePointer<carillon_curl_door>?

    private static let headerLimit = 256 << 10

    /// Throws `.invalid` for what cannot be sent.
    init(_ request: HTTPClientRequest, _ sink: any TransferSink, _ configuration: HTTPClientConfiguration) throws(HTTPClientError) {
        guard let easy = curl_easy_init() else {
            throw HTTPClientError(.closed, "there is no memory for a request to \(request.shownURL)")
        }
        self.easy = easy
        self.sink = sink
        self.request = request
        unixSocket = configuration.unixSocket
        idleLimit = request.idleLimit ?? configuration.idleLimit
        reason = .allocate(capacity: Int(CURL_ERROR_SIZE))
        reason.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        door = configuration.publicAddressesOnly ? .allocate(capacity: 1) : nil
        try check()
        setTarget(configuration)
        setLimits(configuration)
        setTLS(configuration.tls)
        setBody()
        setFields(configuration)
        setCallbacks()
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(fields)
        curl_slist_free_all(route)
        reason.deallocate()
        door?.deallocate()
    }

    // MARK: - Options

    private func set(_ option: CURLoption, _ value: Int) { carillon_curl_set_long(easy, option, value) }
    private func set(_ option: CURLoption, _ value: [UInt8]?) {
        value?.withUnsafeBytes { bytes in _ = carillon_curl_set_blob(easy, option, bytes.baseAddress, bytes.count) }
    }
    private func set(_ option: CURLoption, _ value: String) { carillon_curl_set_text(easy, option, value) }

    private func check() throws(HTTPClientError) {
        guard URLParts(request.url) != nil else {
            throw HTTPClientError(.invalid, "\(request.shownURL) is no http or https URL")
        }
        let tokens = CharacterClass.token
        guard !request.method.isEmpty, request.method.utf8.allSatisfy(tokens.contains) else {
            throw HTTPClientError(.invalid, "the request to \(request.shownURL) has a method that is no token")
        }
        for (name, value) in request.headers.fields {
            guard !name.isEmpty, name.utf8.allSatisfy(tokens.contains) else {
                throw HTTPClientError(.invalid, "the request to \(request.shownURL) has a header field whose name is no token")
            }
            guard !value.utf8.contains(where: { $0 < 0x20 && $0 != 9 || $0 == 0x7F }) else {
                throw HTTPClientError(
                    .invalid, "the header field \(name) of the request to \(request.shownURL) holds a line break or control character")
            }
        }
    }

    private func setTarget(_ configuration: HTTPClientConfiguration) {
        set(CURLOPT_URL, request.url)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_HTTP_VERSION, carillon_curl_http11)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_QUICK_EXIT, 1)  // or removing a transfer waits for the thread that looks its name up
        switch configuration.proxy {
        case .none: set(CURLOPT_PROXY, "")
        case .environment: break
        case .url(let url): set(CURLOPT_PROXY, url)
        }
        if let address = configuration.connectTo {
            route = curl_slist_append(nil, "::\(address)")
            carillon_curl_set_list(easy, CURLOPT_CONNECT_TO, route)
        }
        if let unixSocket { set(CURLOPT_UNIX_SOCKET_PATH, unixSocket) }
        if let credentials = request.credentials {
            set(CURLOPT_HTTPAUTH, carillon_curl_basic)
            set(CURLOPT_USERNAME, credentials.user)
            set(CURLOPT_PASSWORD, credentials.password)
        }
    }

    private func setLimits(_ configuration: HTTPClientConfiguration) {
        set(CURLOPT_CONNECTTIMEOUT_MS, configuration.connectLimit.wholeMilliseconds)
        if let total = request.totalLimit { set(CURLOPT_TIMEOUT_MS, total.wholeMilliseconds) }
        if let limit = request.responseLimit { carillon_curl_set_offset(easy, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(limit)) }
    }

    private func setTLS(_ tls: HTTPClientConfiguration.TLS) {
        set(CURLOPT_SSLVERSION, carillon_curl_tls12)
        if let file = tls.authorityFile { set(CURLOPT_CAINFO, file) }
        if let file = tls.certificateFile { set(CURLOPT_SSLCERT, file) }
        if let file = tls.keyFile { set(CURLOPT_SSLKEY, file) }
        set(CURLOPT_CAINFO_BLOB, tls.authorityText)
        set(CURLOPT_SSLCERT_BLOB, tls.certificateText)
        set(CURLOPT_SSLKEY_BLOB, tls.keyText)
        if let password = tls.keyPassword { set(CURLOPT_KEYPASSWD, password) }
        if !tls.verifiesPeer {
            set(CURLOPT_SSL_VERIFYPEER, 0)
            set(CURLOPT_SSL_VERIFYHOST, 0)
        }
    }

    private func setBody() {
        let hasBody = !request.body.isEmpty || ["POST", "PUT", "PATCH"].contains(request.method)
        if hasBody {
            set(CURLOPT_POST, 1)
            carillon_curl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body.count))
            request.body.withUnsafeBytes { bytes -> Void in
                // An empty array may have no address, and without one libcurl would ask a callback for the body.
                if let base = bytes.baseAddress, !bytes.isEmpty {
                    carillon_curl_set_bytes(easy, CURLOPT_COPYPOSTFIELDS, base)
                } else {
                    carillon_curl_set_text(easy, CURLOPT_COPYPOSTFIELDS, "")
                }
            }
        }
        switch request.method {
        case "GET" where !hasBody, "POST": break
        case "HEAD": set(CURLOPT_NOBODY, 1)
        default: set(CURLOPT_CUSTOMREQUEST, request.method)
        }
    }

    private func setFields(_ configuration: HTTPClientConfiguration) {
        func add(_ line: String) { if let longer = curl_slist_append(fields, line) { fields = longer } }
        if request.headers["Expect"] == nil { add("Expect:") }  // no wait for "100 Continue"
        if request.headers["Content-Type"] == nil { add("Content-Type:") }  // libcurl would name a form
        if request.headers["User-Agent"] == nil { add("User-Agent: \(configuration.userAgent)") }
        for (name, value) in request.headers.fields { add(value.isEmpty ? "\(name);" : "\(name): \(value)") }
        carillon_curl_set_list(easy, CURLOPT_HTTPHEADER, fields)
    }

    private func setCallbacks() {
        // Unretained: the loop keeps this object until the handle has left the multi handle, and no callback comes later.
        let context = Unmanaged.passUnretained(self).toOpaque()
        carillon_curl_set_pointer(easy, CURLOPT_PRIVATE, context)
        carillon_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, reason)
        if let door {
            door.initialize(
                to: carillon_curl_door(
                    judge: { context, bytes, length in
                        guard let context, let bytes else { return 0 }
                        return Exchange.of(context).mayConnect(to: UnsafeBufferPointer(start: bytes, count: Int(length))) ? 1 : 0
                    }, context: context))
            carillon_curl_set_door(easy, door)
        }
        carillon_curl_set_pointer(easy, CURLOPT_HEADERDATA, context)
        carillon_curl_set_receiver(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            return Exchange.of(context).receive(headerLine: UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
        }
        carillon_curl_set_pointer(easy, CURLOPT_WRITEDATA, context)
        carillon_curl_set_receiver(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            return Exchange.of(context).receive(body: UnsafeRawBufferPointer(start: bytes, count: size * count))
        }
    }

    static func of(_ context: UnsafeMutableRawPointer) -> Exchange { Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue() }

    // MARK: - Callbacks

    private func mayConnect(to address: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let address = NetworkAddress(bytes: Array(address)) else { return false }
        if address.isPublic { return true }
        failure = HTTPClientError(
            .refused, "\(request.shownURL) leads to \(address), an address of a private network, which must not be asked")
        return false
    }

    /// False ends the transfer.
    private func receive(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
        lastActivity = .now
        headerBytes += bytes.count
        guard headerBytes <= Self.headerLimit else {
            failure = HTTPClientError(.tooLarge, "\(request.shownURL) answered with a header of more than \(Self.headerLimit) bytes")
            return false
        }
        var line = bytes[...]
        while let last = line.last, last == 10 || last == 13 { line = line.dropLast() }
        let text = String(decoding: line, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            status = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            headers = HTTPHeaders()
            isHeadDone = false
        } else if isHeadDone {
            return true  // a trailer
        } else if text.isEmpty {
            if status >= 200 {
                isHeadDone = true
                sink.receive(head: HTTPClientResponse.Head(status: status, headers: headers))
            }
        } else if let colon = text.utf8.firstIndex(of: 58) {
            headers.add(String(text[..<colon]), text[text.utf8.index(after: colon)...].trimmed)
        }
        return true
    }

    private func receive(body bytes: UnsafeRawBufferPointer) -> Int {
        lastActivity = .now
        if let limit = request.responseLimit, bodyBytes + bytes.count > limit {
            failure = HTTPClientError(.tooLarge, tooLargeMessage(limit))
            return 0
        }
        guard sink.receive(bytes) else {
            isPaused = true
            return carillon_curl_pause
        }
        bodyBytes += bytes.count
        return bytes.count
    }

    private func tooLargeMessage(_ limit: Int) -> String {
        "\(request.shownURL) answered with more than \(limit) bytes; raise the limit or ask for less"
    }

    // MARK: - Ends

    /// When nothing will have come for too long; nil while the reader is behind.
    var idleEnd: ContinuousClock.Instant? {
        guard !isPaused else { return nil }
        var sent: curl_off_t = 0
        if carillon_curl_get_offset(easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK, sent != uploaded {
            uploaded = sent
            lastActivity = .now
        }
        return lastActivity + idleLimit
    }

    var idleError: HTTPClientError {
        HTTPClientError(.timedOut, "\(request.shownURL) sent nothing for \(idleLimit); look at that server, or raise the idle limit")
    }

    /// The error that libcurl's result means; nil for success.
    func error(of result: CURLcode) -> HTTPClientError? {
        if result == CURLE_OK { return nil }
        if let failure { return failure }
        let url = request.shownURL
        let said = reason.pointee == 0 ? String(cString: curl_easy_strerror(result)) : String(cString: reason)
        switch result {
        case CURLE_URL_MALFORMAT:
            return HTTPClientError(.invalid, "\(url) is no http or https URL")
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
            return HTTPClientError(.unresolved, "the host of \(url) is unknown; check the name and the resolver")
        case CURLE_COULDNT_CONNECT:
            if let unixSocket {
                return HTTPClientError(
                    .unreachable,
                    "nobody listens at \(unixSocket), or this process may not open it; start that server, correct the path or its rights")
            }
            return HTTPClientError(.unreachable, "nobody listens at \(url); start that server or correct the address")
        case CURLE_OPERATION_TIMEDOUT:
            var connected: curl_off_t = 0
            carillon_curl_get_offset(easy, CURLINFO_PRETRANSFER_TIME_T, &connected)
            let what = connected == 0 ? "no connection to \(url) came about in time" : "\(url) did not answer whole in time"
            return HTTPClientError(.timedOut, "\(what); look at that server, or raise the time limit")
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CIPHER,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ENGINE_INITFAILED:
            return HTTPClientError(.tls, "no TLS with \(url): \(said); check the authority file and the certificates")
        case CURLE_FILESIZE_EXCEEDED:
            return HTTPClientError(.tooLarge, tooLargeMessage(request.responseLimit ?? 0))
        default:
            return HTTPClientError(.interrupted, "the connection to \(url) failed: \(said)")
        }
    }
}
