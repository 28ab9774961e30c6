/// Answers requests: the one interface between the server and everything that speaks HTTP.
package protocol HTTPHandler: Sendable {
    /// An answer at hand, without waiting: called on the server's own thread, so it must not block. Nil: ask `respond(to:)`.
    func cached(_ head: borrowing RequestHead) -> CachedResponse?
    /// Whether the handler of this request is to be cancelled when the client leaves (long polls); answers to others are still made.
    func endsWithClient(_ request: HTTPRequest) -> Bool
    func respond(to request: HTTPRequest) async -> HTTPResponse
}

extension HTTPHandler {
    package func cached(_ head: borrowing RequestHead) -> CachedResponse? { nil }
    package func endsWithClient(_ request: HTTPRequest) -> Bool { false }
}

/// What a cache looks at before a request is made a value: nothing of it is copied.
package struct RequestHead: ~Copyable {
    /// `GET` or `HEAD`; caches are not asked for anything else.
    package let isHead: Bool
    /// The target as sent, valid during the call only.
    package let target: UnsafeRawBufferPointer
    private let lookUp: (StaticString) -> UnsafePointer<CChar>?

    /// `lookUp` gives the first value of a header field as a C string that is valid during the call.
    package init(isHead: Bool, target: UnsafeRawBufferPointer, lookUp: @escaping (StaticString) -> UnsafePointer<CChar>?) {
        self.isHead = isHead
        self.target = target
        self.lookUp = lookUp
    }

    /// Calls `body` with the head of `request`, for tests and for handlers that ask one another without a socket.
    package static func with<R>(_ target: String, isHead: Bool = false, headers: HTTPHeaders = [:], _ body: (borrowing RequestHead) -> R)
        -> R
    {
        let fields = headers.fields.map { (name: $0.name, value: Array($0.value.utf8CString)) }
        var copies: [UnsafeMutablePointer<CChar>] = []
        defer { for copy in copies { copy.deallocate() } }
        let values = fields.map { field in
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: field.value.count)
            copy.initialize(from: field.value, count: field.value.count)
            copies.append(copy)
            return (name: field.name, value: UnsafePointer(copy))
        }
        return Array(target.utf8).withUnsafeBytes { bytes in
            body(
                RequestHead(isHead: isHead, target: bytes) { name in
                    values.first { HTTPHeaders.same($0.name, name.description) }?.value
                })
        }
    }

    /// The first value of a header field, without blanks around it.
    package func header(_ name: StaticString) -> String? {
        lookUp(name).map { value in
            let text = String(cString: value)
            guard let last = text.utf8.last, last == 32 || last == 9 else { return text }
            return String(text.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
        }
    }

    /// Whether the request has a header field of that name; nothing is copied.
    package func has(_ name: StaticString) -> Bool { lookUp(name) != nil }
}

/// Routes by method and path, in the order in which they were added; a value, so that every surface is tested without a port.
///
/// A pattern is a list of segments: `text` matches itself, `{name}` any one segment, `{name…}` at the end one or more segments joined by `/`.
package struct Router: HTTPHandler {
    package typealias Handler = @Sendable (HTTPRequest, [String: String]) async throws -> HTTPResponse
    package typealias Cache = @Sendable (borrowing RequestHead) -> CachedResponse?
    package typealias Middleware = @Sendable (HTTPRequest, _ next: @Sendable (HTTPRequest) async -> HTTPResponse) async -> HTTPResponse

    private struct Route: Sendable {
        let method: String
        let pattern: [String]
        let endsWithClient: Bool
        let handler: Handler
    }
    private var routes: [Route] = []
    private var caches: [Cache] = []
    private var middleware: [Middleware] = []
    /// Answers what no route matches.
    package var notFound: @Sendable (HTTPRequest) async -> HTTPResponse = { request in
        HTTPResponse(404, text: "nothing is served at \(request.pathText)\n")
    }
    /// Answers requests whose path has dot segments or an encoded percent sign, instead of any route.
    package var unclean: @Sendable (HTTPRequest) async -> HTTPResponse = { _ in
        HTTPResponse(400, text: "the path has dot segments or an encoded percent sign, which nothing here is served at\n")
    }
    /// Turns an error that a handler threw into an answer.
    package var failed: @Sendable (HTTPRequest, any Error) async -> HTTPResponse = { _, error in
        (error as? any HTTPError)?.response ?? HTTPResponse(500, text: "\(error)\n")
    }

    package init() {}

    /// `pattern` is written as a path: `/channels/{destination}/groups/{group}/pull`.
    package mutating func add(_ method: String, _ pattern: String, endsWithClient: Bool = false, _ handler: @escaping Handler) {
        let segments = pattern.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        routes.append(Route(method: method, pattern: segments, endsWithClient: endsWithClient, handler: handler))
    }

    /// Adds all routes of another router behind those that are here.
    package mutating func add(_ other: Router) {
        routes += other.routes
        caches += other.caches
        middleware += other.middleware
    }

    /// Asked before any route for GET and HEAD, on the server's thread. Middleware is not run for what it answers.
    package mutating func add(cache: @escaping Cache) { caches.append(cache) }

    /// Runs around every route; the one added first is outermost.
    package mutating func add(middleware one: @escaping Middleware) { middleware.append(one) }

    package func cached(_ head: borrowing RequestHead) -> CachedResponse? {
        for cache in caches { if let hit = cache(head) { return hit } }
        return nil
    }

    package func endsWithClient(_ request: HTTPRequest) -> Bool { match(request)?.route.endsWithClient ?? false }

    package func respond(to request: HTTPRequest) async -> HTTPResponse {
        var next: @Sendable (HTTPRequest) async -> HTTPResponse = { await dispatch($0) }
        for one in middleware.reversed() {
            let inner = next
            next = { await one($0, inner) }
        }
        return await next(request)
    }

    private func dispatch(_ request: HTTPRequest) async -> HTTPResponse {
        if Target.isUnclean(request.path) { return await unclean(request) }
        if let (route, values) = match(request) {
            do {
                return try await route.handler(request, values)
            } catch {
                return await failed(request, error)
            }
        }
        let isAsterisk = request.method == "OPTIONS" && request.path == ["*"]
        let allowed = routes.filter { isAsterisk || Self.match($0.pattern, request.path) != nil }.map(\.method)
        guard !allowed.isEmpty else { return await notFound(request) }
        var methods: [String] = []
        for method in allowed.flatMap({ $0 == "GET" ? ["GET", "HEAD"] : [$0] }) + ["OPTIONS"] where !methods.contains(method) {
            methods.append(method)
        }
        let allow = methods.joined(separator: ", ")
        if request.method == "OPTIONS" { return HTTPResponse(200, headers: ["Allow": allow]) }
        return HTTPResponse(405, text: "\(request.method) is not possible here; possible: \(allow)\n", headers: ["Allow": allow])
    }

    private func match(_ request: HTTPRequest) -> (route: Route, values: [String: String])? {
        for route in routes where route.method == request.method || route.method == "GET" && request.method == "HEAD" {
            if let values = Self.match(route.pattern, request.path) { return (route, values) }
        }
        return nil
    }

    static func match(_ pattern: [String], _ path: [String]) -> [String: String]? {
        var values: [String: String] = [:]
        for (index, segment) in pattern.enumerated() {
            if segment.hasPrefix("{"), segment.hasSuffix("…}") {
                guard index < path.count else { return nil }
                values[String(segment.dropFirst().dropLast(2))] = path[index...].joined(separator: "/")
                return values
            }
            guard index < path.count else { return nil }
            if segment.hasPrefix("{"), segment.hasSuffix("}") {
                guard !path[index].isEmpty else { return nil }
                values[String(segment.dropFirst().dropLast())] = path[index]
            } else if segment != path[index] {
                return nil
            }
        }
        return path.count == pattern.count ? values : nil
    }
}

/// An error that knows its answer.
package protocol HTTPError: Error {
    var response: HTTPResponse { get }
}
