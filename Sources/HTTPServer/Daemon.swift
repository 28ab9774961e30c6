import CMicroHTTPD
import Glibc

/// One running libmicrohttpd: its threads, options and connections. It has no listening socket of its own: `MHD_quiesce_daemon`, the only way to stop
/// accepting, races with a pool of threads and ends the process.
final class Daemon: @unchecked Sendable {  // constant after init; the library's calls may come from any thread
    private let pointer: OpaquePointer
    private let core: Unmanaged<ServerCore>
    private let texts: [UnsafeMutablePointer<CChar>]

    init(configuration: HTTPServerConfiguration, core: ServerCore) throws(HTTPServerError) {
        let limits = configuration.limits
        let context = Unmanaged.passRetained(core)
        var options: [MHD_OptionItem] = []
        var texts: [UnsafeMutablePointer<CChar>] = []
        func add(_ option: MHD_OPTION, _ value: Int, _ pointer: UnsafeMutableRawPointer? = nil) {
            options.append(MHD_OptionItem(option: option, value: value, ptr_value: pointer))
        }
        func add(_ option: MHD_OPTION, text: String) {
            guard let copy = strdup(text) else { return }
            texts.append(copy)
            add(option, 0, copy)
        }
        if configuration.threads > 1 { add(.THREAD_POOL_SIZE, configuration.threads) }
        add(.CONNECTION_LIMIT, max(limits.connections, configuration.threads))
        add(.CONNECTION_MEMORY_LIMIT, limits.headerBytes + 4096)
        add(.CONNECTION_TIMEOUT, 0)  // it counts inactivity; ours are deadlines
        add(.NOTIFY_CONNECTION, unsafeBitCast(Callbacks.connection, to: Int.self), context.toOpaque())
        add(.NOTIFY_COMPLETED, unsafeBitCast(Callbacks.completed, to: Int.self), context.toOpaque())
        add(.URI_LOG_CALLBACK, unsafeBitCast(Callbacks.target, to: Int.self), context.toOpaque())
        add(.UNESCAPE_CALLBACK, unsafeBitCast(Callbacks.keepEscapes, to: Int.self))
        var flags = UInt32(
            MHD_USE_EPOLL_INTERNAL_THREAD.rawValue | MHD_ALLOW_SUSPEND_RESUME.rawValue | MHD_USE_NO_LISTEN_SOCKET.rawValue
                | MHD_USE_TURBO.rawValue)
        if let tls = configuration.tls {
            flags |= UInt32(MHD_USE_TLS.rawValue)
            add(.HTTPS_MEM_CERT, text: tls.certificate)
            add(.HTTPS_MEM_KEY, text: tls.key)
            if let authority = tls.clientCA { add(.HTTPS_MEM_TRUST, text: authority) }
            add(.HTTPS_PRIORITIES, text: "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2")
        }
        add(.END, 0)
        guard let pointer = carillon_mhd_start(flags, Callbacks.request, context.toOpaque(), options) else {
            for text in texts { free(text) }
            context.release()
            throw .libraryStart
        }
        self.pointer = pointer
        self.core = context
        self.texts = texts
    }

    enum Accepted { case taken, overLimit, nothing(errno: Int32) }

    /// Accepts one connection of a non-blocking listening socket.
    func accept(from listener: Int32) -> Accepted {
        switch carillon_mhd_accept(pointer, listener) {
        case 1: .taken
        case 0: .overLimit
        default: .nothing(errno: errno)
        }
    }

    /// Takes over one end of a socket pair. Returns whether it was taken; closed otherwise.
    func add(pair descriptor: Int32) -> Bool { carillon_mhd_add_pair(pointer, descriptor) == 1 }

    /// Closes all connections and joins the library's threads: blocks. Call once, as the last call; no connection may be suspended, or the
    /// library ends the process.
    func stop() {
        MHD_stop_daemon(pointer)
        for text in texts {
            memset(text, 0, strlen(text))  // one of them is the key
            free(text)
        }
        core.release()
    }
}
