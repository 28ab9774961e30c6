/// `HTTPServerLimits` in the units in which a connection counts.
struct ConnectionLimits: Sendable {
    let header: Int64
    let idle: Int64
    let bodyGrace: Int64
    let bodyRate: Int64
    let sendGrace: Int64
    let sendRate: Int64
    /// libmicrohttpd does not see an end of stream that came together with data: such a connection is cut this long after.
    let left: Int64 = 300
    /// A drain leaves a half-sent header this long.
    let drainHeader: Int64 = 1000

    init(_ limits: HTTPServerLimits) {
        header = limits.headerTime.milliseconds
        idle = limits.idleTime.milliseconds
        bodyGrace = limits.bodyGrace.milliseconds
        bodyRate = Int64(limits.bodyRate)
        sendGrace = limits.sendGrace.milliseconds
        sendRate = Int64(limits.sendRate)
    }
}
