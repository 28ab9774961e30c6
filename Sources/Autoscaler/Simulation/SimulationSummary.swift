/// What a law cost and how it kept the promise.
package struct SimulationSummary: Sendable, Hashable {
    package var messages: Int
    /// Messages that waited longer than the promise, from their arrival to the start of their service.
    package var lateMessages: Int
    package var hasPromise: Bool
    package var maximumWait: Seconds
    package var instanceSeconds: Seconds
    /// What a fleet would take that is always busy.
    package var ideal: Seconds
    /// Changes against the direction of the last one.
    package var reversals: Int
    package var peak: Int
    /// Whether the promise could have been kept; nil where that was not asked.
    package var feasibility: Feasibility?

    init(
        messages: Int, late: Int, hasPromise: Bool, maximumWait: Seconds, instanceSeconds: Seconds, rate: Double, reversals: Int, peak: Int
    ) {
        self.messages = messages
        lateMessages = late
        self.hasPromise = hasPromise
        self.maximumWait = maximumWait
        self.instanceSeconds = instanceSeconds
        ideal = Double(messages) / rate
        self.reversals = reversals
        self.peak = peak
    }

    /// The share of late messages; nil when nothing is promised.
    package var late: Double? {
        guard hasPromise else { return nil }
        return messages == 0 ? 0 : Double(lateMessages) / Double(messages)
    }

    /// As a multiple of the ideal; nil when nothing came.
    package var cost: Double? { ideal > 0 ? instanceSeconds / ideal : nil }
}
