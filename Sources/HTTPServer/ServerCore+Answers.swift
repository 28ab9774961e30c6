import CMicroHTTPD
import HTTP
import Locking
import Synchronization

extension ServerCore {
    /// Queued in the handler's first call a refusal ends the connection: the library reads no further request from it.
    func refuse(_ refusal: Refusal, _ record: ConnectionRecord, _ connection: OpaquePointer) -> MHD_Result {
        guard let response = PreparedResponse(HTTPResponse(Int(refusal.status), text: refusal.reason + "\n"), closing: true) else {
            return .NO
        }
        return queue(response, lingers: true, record, connection)
    }

    /// The answer of a cache in the form that all its hits share.
    func sendCached(_ hit: CachedResponse, _ record: ConnectionRecord, _ connection: OpaquePointer) -> MHD_Result {
        if isDraining.load(ordering: .relaxed) { return send(hit.response, record, connection) }
        let known = hit.prepared.withLock { $0 }
        if let known = known as? PreparedResponse { return queue(known, lingers: false, record, connection) }
        guard let made = PreparedResponse(hit.response, closing: false) else { return .NO }
        hit.prepared.withLock { $0 = made }
        return queue(made, lingers: false, record, connection)
    }

    /// Framing of chunked bodies cannot be seen from here, so nothing that follows one on its connection is trusted.
    func send(_ response: HTTPResponse, _ record: ConnectionRecord, _ connection: OpaquePointer) -> MHD_Result {
        let isChunked = record.exchange.framing.isChunked
        let closing = isChunked || isDraining.load(ordering: .relaxed)
        if case .stream = response.body { return sendStream(response, closing: closing, lingers: isChunked, record, connection) }
        guard let prepared = PreparedResponse(response, closing: closing) else { return .NO }
        return queue(prepared, lingers: isChunked, record, connection)
    }

    private func queue(_ response: PreparedResponse, lingers: Bool, _ record: ConnectionRecord, _ connection: OpaquePointer) -> MHD_Result {
        record.sendingBegins(lingers: lingers)
        counters.answered(response.status)
        return MHD_queue_response(connection, response.status, response.pointer)
    }

    private func sendStream(
        _ response: HTTPResponse, closing: Bool, lingers: Bool, _ record: ConnectionRecord, _ connection: OpaquePointer
    ) -> MHD_Result {
        let source = Unmanaged.passRetained(record).toOpaque()  // released by the library with the response
        guard
            let pointer = MHD_create_response_from_callback(
                UInt64.max, 4096, Callbacks.nextPiece, source, { Unmanaged<ConnectionRecord>.fromOpaque($0!).release() })
        else {
            Unmanaged<ConnectionRecord>.fromOpaque(source).release()
            return .NO
        }
        defer { MHD_destroy_response(pointer) }
        let isHead = record.exchange.framing.method == .head
        if isHead { carillon_mhd_end_by_close(pointer) }  // or the library sends the end of the chunks that are not there
        ResponseHeader.add(response.headers, to: pointer, closing: closing || isHead)
        let status = ResponseHeader.status(of: response)
        record.streamingBegins(lingers: lingers)
        counters.answered(status)
        return MHD_queue_response(connection, status, pointer)
    }
}
