import CMicroHTTPD
import HTTP
import Synchronization
import Telemetry

/// What the library's callbacks share: one for each running server.
final class ServerCore: Sendable {
    let handler: any HTTPHandler
    let limits: HTTPServerLimits
    let connectionLimits: ConnectionLimits
    let clientCertificates: HTTPServerTLS.ClientCertificates?
    let counters: ServerCounters
    let log: Log
    let connections = OpenConnections()
    let events: SocketEvents
    let lingering: LingeringSockets
    /// Each answer is the last of its connection.
    let isDraining = Atomic<Bool>(false)
    /// No request is begun any more.
    let isStopping = Atomic<Bool>(false)

    init(configuration: HTTPServerConfiguration, handler: any HTTPHandler, counters: ServerCounters, log: Log) throws(HTTPServerError) {
        self.handler = handler
        limits = configuration.limits
        connectionLimits = ConnectionLimits(configuration.limits)
        clientCertificates = configuration.tls?.clientCA == nil ? nil : configuration.tls?.clientCertificates
        self.counters = counters
        self.log = log
        events = try SocketEvents()
        lingering = LingeringSockets(events: events, discarded: configuration.limits.discardedBytes)
    }

    // MARK: connections

    func connectionBegan(_ connection: OpaquePointer) -> ConnectionRecord {
        let descriptor = carillon_mhd_descriptor(connection)
        let record = connections.add { id in
            ConnectionRecord(
                id: id, descriptor: descriptor, connection: connection, limits: connectionLimits, streamBuffer: limits.streamBuffer)
        }
        counters.open.add(1, ordering: .relaxed)
        events.watchForEnd(descriptor, id: record.id)
        return record
    }

    func connectionEnded(_ record: ConnectionRecord) {
        events.forget(record.descriptor)
        if record.closed() { lingering.add(record.descriptor, id: record.id) }
        counters.open.subtract(1, ordering: .relaxed)
        connections.remove(record.id)
    }

    // MARK: a request

    /// The library calls the handler for the first time: the header is whole and still as it came.
    func headerArrived(
        _ record: ConnectionRecord, _ connection: OpaquePointer, method: UnsafePointer<CChar>, version: UnsafePointer<CChar>
    ) -> MHD_Result {
        let size = carillon_mhd_header_size(connection)
        do throws(Refusal) {
            guard size <= limits.headerBytes else {
                throw Refusal(status: 431, reason: "request line and header fields are longer than \(limits.headerBytes) bytes")
            }
            let framing = try framing(of: record, connection, UnsafeRawBufferPointer(start: method, count: size), version: version - method)
            guard framing.length <= limits.bodyBytes else {
                throw Refusal(status: 413, reason: "the body is longer than \(limits.bodyBytes) bytes")
            }
            if let clientCertificates { try check(clientCertificates, record, connection) }
            record.headerEnded(framing, method: String(cString: method))
            return .YES
        } catch {
            return refuse(error, record, connection)
        }
    }

    private func framing(
        of record: ConnectionRecord, _ connection: OpaquePointer, _ block: UnsafeRawBufferPointer, version: Int
    ) throws(Refusal) -> HeaderBlock.Framing {
        let fieldCount = Int(MHD_get_connection_values(connection, .HEADER_KIND, nil, nil))
        let result = record.exchange.target.withUnsafeBytes { target in
            Result { () throws(Refusal) in
                try HeaderBlock(bytes: block, version: version, target: target, fieldCount: fieldCount, fieldLimit: limits.headerFields)
                    .framing()
            }
        }
        return try result.get()
    }

    private func check(
        _ demand: HTTPServerTLS.ClientCertificates, _ record: ConnectionRecord, _ connection: OpaquePointer
    ) throws(Refusal) {
        let certificate = record.exchange.clientCertificate ?? ClientCertificate(of: connection)
        record.exchange.clientCertificate = certificate
        switch certificate {
        case .verified, .notSecure: return
        case .notShown:
            if demand == .required { throw Refusal(status: 403, reason: "a client certificate is needed here") }
        case .invalid:
            throw Refusal(
                status: 403, reason: "the client certificate does not hold: not signed by an authority of this server, or out of its time")
        }
    }

    /// A piece of the body.
    func bodyArrived(_ record: ConnectionRecord, _ piece: UnsafeRawBufferPointer) -> MHD_Result {
        record.bodyCame(piece.count)
        return record.exchange.receive(piece, limit: limits.bodyBytes, discarded: limits.discardedBytes) ? .YES : .NO
    }

    /// The request is whole, or its connection was resumed.
    func requestArrived(_ record: ConnectionRecord, _ connection: OpaquePointer) -> MHD_Result {
        if record.exchange.stage == .handling {
            guard let response = record.takeAnswer() else { return .NO }  // the client left, or the server has no time any more
            return send(response, record, connection)
        }
        guard !isStopping.load(ordering: .relaxed) else { return .NO }
        if record.exchange.isBodyTooLong {
            return refuse(Refusal(status: 413, reason: "the body is longer than \(limits.bodyBytes) bytes"), record, connection)
        }
        if let hit = cached(record) { return sendCached(hit, record, connection) }
        guard let request = request(of: record, connection) else {
            return refuse(.malformed("the path cannot be decoded: bad percent sequence, encoded slash, or dot segment"), record, connection)
        }
        return handle(request, record)
    }

    private func cached(_ record: ConnectionRecord) -> CachedResponse? {
        let framing = record.exchange.framing
        guard framing.method != .other, !framing.hasBody else { return nil }
        return record.exchange.target.withUnsafeBytes { target in
            handler.cached(RequestHead(isHead: framing.method == .head, target: target, lookUp: record.lookUp))
        }
    }

    private func request(of record: ConnectionRecord, _ connection: OpaquePointer) -> HTTPRequest? {
        guard let target = Target(record.exchange.target) else { return nil }
        let address = record.exchange.remoteAddress ?? PeerAddress.text(of: connection)
        let certificate = record.exchange.clientCertificate ?? ClientCertificate(of: connection)
        record.exchange.remoteAddress = address
        record.exchange.clientCertificate = certificate
        var subject: String?
        if case .verified(let name) = certificate { subject = name }
        let method = record.exchange.method
        return HTTPRequest(
            method: method, target: target, headers: RequestHeaders.all(of: connection), body: record.exchange.handlingBegins(),
            remoteAddress: address, clientCertificate: subject, isSecure: certificate != .notSecure)
    }

    /// Suspends the connection and asks the handler in a task. That task cannot be a child of another one: it begins in a callback of a C thread.
    /// Its owner is the connection's record, which cancels it; `HTTPServer.run` does not return before all of them have ended or had time to.
    private func handle(_ request: HTTPRequest, _ record: ConnectionRecord) -> MHD_Result {
        guard let number = record.beginHandling(endsWithClient: handler.endsWithClient(request)) else { return .NO }
        counters.tasks.add(1, ordering: .relaxed)
        let task = Task { [self] in
            defer { counters.tasks.subtract(1, ordering: .relaxed) }
            let response = await handler.respond(to: request)
            record.answer(response, to: number)
            guard case .stream(let body) = response.body, request.method != "HEAD" else { return }
            do {
                try await body(BodyWriter { try await record.write($0, to: number) })
                record.finish(number, failed: false)
            } catch is CancellationError {
                record.finish(number, failed: false)
            } catch {
                log.warning("a streamed answer broke off", ["path": request.pathText, "error": "\(error)"])
                record.finish(number, failed: true)
            }
        }
        record.keep(task, of: number)
        return .YES
    }
}
