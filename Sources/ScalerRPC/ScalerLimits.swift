/// What the server bears from its clients.
package struct ScalerLimits: Sendable, Hashable {
    /// Bytes of a request; a longer one is answered RESOURCE_EXHAUSTED.
    package var message = 64 << 10
    /// Bytes of a call's metadata.
    package var metadata = 16 << 10
    /// Streams at a time, of all clients, some 27 KB each; further ones are answered RESOURCE_EXHAUSTED.
    package var streams = 4096
    /// Calls at a time beside the streams, so that these never keep KEDA from polling; further ones wait.
    package var calls = 1024
    /// From the beginning of a call to the end of its request; after that it is answered DEADLINE_EXCEEDED.
    package var requestTime: Duration = .seconds(10)
    /// From the first moment of a connection to the end of the handshakes.
    package var handshakeTime: Duration = .seconds(10)
    /// A peer is asked for a sign of life so often, whether it has calls or not …
    package var keepalive: Duration = .seconds(10)
    /// … and has to give it in this time.
    package var keepaliveTime: Duration = .seconds(5)
    /// How long calls in hand, and clients that are told to leave, may take after shutdown was asked for.
    package var drainTime: Duration = .seconds(5)
    /// How often the server looks whether its own port still takes connections.
    package var probe: Duration = .seconds(10)
    /// How long that may take before it counts as a failure; two in turn make the server listen anew.
    package var probeTime: Duration = .seconds(3)

    package init() {}
}
