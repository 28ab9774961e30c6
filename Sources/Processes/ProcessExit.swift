/// How a process ended.
package enum ProcessExit: Sendable, Hashable {
    case code(Int32)
    case signal(Int32)

    /// As shells tell it.
    package var code: Int32 {
        switch self {
        case .code(let code): code
        case .signal(let number): 128 + number
        }
    }

    /// From what `waitpid` says.
    init(status: Int32) { self = status & 0x7F == 0 ? .code(status >> 8 & 0xFF) : .signal(status & 0x7F) }
}
