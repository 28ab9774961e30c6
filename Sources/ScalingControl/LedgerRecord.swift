package import Autoscaler

/// One decision as the ledger keeps it: what it was made from. Made again from that, it is the same.
package struct LedgerRecord: Sendable, Hashable {
    package var policy: String
    package var seq: Int
    /// The leader's at that time: of two with the same number the one of the later term counts.
    package var term: Int
    /// The steady clock at which it was made.
    package var instant: Seconds
    package var observation: Observation

    package init(policy: String, seq: Int, term: Int, instant: Seconds, observation: Observation) {
        self.policy = policy
        self.seq = seq
        self.term = term
        self.instant = instant
        self.observation = observation
    }
}

/// What a policy remembered after a decision, and the shadow beside it.
package struct LedgerSnapshot: Sendable, Hashable {
    package var policy: String
    package var term: Int
    package var time: Seconds
    package var state: PolicyState
    package var shadow: Shadow?

    package init(policy: String, term: Int, time: Seconds, state: PolicyState, shadow: Shadow?) {
        self.policy = policy
        self.term = term
        self.time = time
        self.state = state
        self.shadow = shadow
    }
}

/// What is written to the ledger.
package enum LedgerEntry: Sendable {
    case decision(LedgerRecord)
    /// What became of it, as the JSON text of its event.
    case result(policy: String, seq: Int, text: String)
    case snapshot(LedgerSnapshot)
    case override(policy: String, Override?)
    case term(Int)
    /// Decisions from that number on were never made: another leader made them.
    case rewind(policy: String, from: Int)
}

/// All that a ledger knows of one policy when it is opened.
package struct LedgerImage: Sendable, Hashable {
    package var state: PolicyState
    package var shadow: Shadow?
    /// The last decision, made again; nil where there was none since the snapshot.
    package var last: Decision?
    package var result: String?
    package var override: Override?
    /// Of the last decision.
    package var term = 0
    package var time: Seconds = 0
    package var instant: Seconds = 0

    init(_ snapshot: LedgerSnapshot) {
        state = snapshot.state
        shadow = snapshot.shadow
        term = snapshot.term
        time = snapshot.time
    }

    /// Makes a recorded decision again.
    mutating func replay(_ record: LedgerRecord) -> Decision {
        if record.seq != state.seq + 1 { state.skip(to: record.seq - 1) }
        let decision = state.decide(record.observation)
        _ = shadow?.decide(record.observation, live: decision)
        last = decision
        result = nil
        term = record.term
        time = record.observation.time
        instant = record.instant
        return decision
    }
}

/// A ledger that cannot be read or written: names the file and the remedy.
package struct LedgerError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}
