import Dispatch
import Glibc

/// Signals of the process as an asynchronous sequence, until `cancel()`. Only a `ServiceGroup` takes SIGTERM and SIGINT.
package struct SignalSource {
    package let received: AsyncStream<Int32>
    private let sources: [any DispatchSourceSignal]

    package init(_ signals: [Int32]) {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingNewest(4))
        received = stream
        sources = signals.map { number in
            signal(number, SIG_IGN)  // or the default action would end the process before the source is asked
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { @Sendable in continuation.yield(number) }
            source.resume()
            return source
        }
    }

    package func cancel() { for source in sources { source.cancel() } }
}
