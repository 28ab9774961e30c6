import CMicroHTTPD
import Glibc

/// The functions that the library calls, each on the thread of its connection: from C pointers to `ServerCore` and `ConnectionRecord` and back.
///
/// The server's context is a `ServerCore` that the `Daemon` holds. A connection's socket context is a retained `ConnectionRecord`, from
/// `connection` with `STARTED` to the one with `CLOSED`; a request's context is the same pointer, unretained.
enum Callbacks {
    /// A socket was taken over, or is about to be closed.
    static let connection:
        @convention(c) (
            UnsafeMutableRawPointer?, OpaquePointer?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?, MHD_ConnectionNotificationCode
        ) -> Void = { server, connection, context, code in
            guard let server, let connection, let context else { return }
            let core = Unmanaged<ServerCore>.fromOpaque(server).takeUnretainedValue()
            if code == .CONNECTION_NOTIFY_STARTED {
                context.pointee = Unmanaged.passRetained(core.connectionBegan(connection)).toOpaque()
            } else if let pointer = context.pointee {
                context.pointee = nil
                core.connectionEnded(Unmanaged<ConnectionRecord>.fromOpaque(pointer).takeRetainedValue())
            }
        }

    /// A request line is complete: the only sight of the target as it was sent. What is returned becomes the request's context.
    static let target: @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?, OpaquePointer?) -> UnsafeMutableRawPointer? = {
        _, text, connection in
        guard let connection, let pointer = carillon_mhd_context(connection) else { return nil }
        let target = UnsafeRawBufferPointer(start: text, count: text.map { strlen($0) } ?? 0)
        Unmanaged<ConnectionRecord>.fromOpaque(pointer)._withUnsafeGuaranteedRef { $0.requestLine(target) }
        // The query is ours to read. Cut short here, the library parses none of it: pairs that do not fit its memory would hang it.
        if let text, let mark = memchr(text, Int32(UInt8(ascii: "?")), target.count) {
            let next = mark.assumingMemoryBound(to: CChar.self) + 1
            if next.pointee != 0 { next.pointee = 0 }
        }
        return pointer
    }

    /// Leaves percent sequences as they are: what is decoded too early cannot be checked any more.
    static let keepEscapes: @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?, UnsafeMutablePointer<CChar>?) -> Int = { _, _, text in
        text.map { strlen($0) } ?? 0
    }

    /// The header is whole (first call), a piece of the body came, the request is whole, or its connection was resumed.
    static let request: MHD_AccessHandlerCallback = { server, connection, _, method, version, data, size, context in
        guard let server, let connection, let pointer = context?.pointee, let method, let version, let size else { return .NO }
        return Unmanaged<ServerCore>.fromOpaque(server)._withUnsafeGuaranteedRef { core in
            Unmanaged<ConnectionRecord>.fromOpaque(pointer)._withUnsafeGuaranteedRef { record in
                let result: MHD_Result
                if record.exchange.stage == .header {
                    result = core.headerArrived(record, connection, method: method, version: version)
                } else if size.pointee > 0 {
                    let piece = UnsafeRawBufferPointer(start: data, count: size.pointee)
                    size.pointee = 0
                    result = core.bodyArrived(record, piece)
                } else {
                    result = core.requestArrived(record, connection)
                }
                if result == .NO { record.giveUp() }
                return result
            }
        }
    }

    /// The answer is out, or the connection broke under the request.
    static let completed: MHD_RequestCompletedCallback = { _, _, context, code in
        guard let pointer = context?.pointee else { return }
        Unmanaged<ConnectionRecord>.fromOpaque(pointer)._withUnsafeGuaranteedRef {
            $0.requestEnded(whole: code == .REQUEST_TERMINATED_COMPLETED_OK)
        }
    }

    /// The library has room for more of a stream.
    static let nextPiece: MHD_ContentReaderCallback = { record, _, room, size in
        guard let record, let room else { return -2 }
        return Unmanaged<ConnectionRecord>.fromOpaque(record)._withUnsafeGuaranteedRef {
            switch $0.nextPiece(into: UnsafeMutableRawBufferPointer(start: room, count: size)) {
            case .bytes(let count): count
            case .nothingYet: 0
            case .end: -1  // MHD_CONTENT_READER_END_OF_STREAM
            case .broken: -2  // MHD_CONTENT_READER_END_WITH_ERROR
            }
        }
    }
}
