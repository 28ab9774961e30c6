import Lifecycle

/// The times at which a server is asked without an event.
package struct PollPace: Sendable {
    private let client: ConfigClient
    private var backOff = BackOff(first: .seconds(1), longest: .seconds(30))

    init(_ client: ConfigClient) { self.client = client }

    /// Returns when it is time to ask: after `pollInterval`, or after a growing pause while what is in force is stale, even where there is no
    /// interval. Throws `CancellationError`.
    package mutating func wait() async throws {
        let interval = client.settings.pollInterval
        let end = interval > .zero ? ContinuousClock.now + interval * Double.random(in: 0.9...1.1) : nil
        while true {
            if case .stale = client.state {
                try await Task.sleep(for: min(backOff.next(), interval > .zero ? interval : .seconds(30)))  // between two tries
                return
            }
            backOff.reset()
            // Looked at now and then: a refresh by an event may fail meanwhile.
            let nap = Duration.seconds(2)
            guard let end else {
                try await Task.sleep(for: nap)
                continue
            }
            let rest = end - .now
            try await Task.sleep(for: min(rest, nap))
            if rest <= nap { return }
        }
    }
}
