package import Autoscaler

/// Who decides, of several servers on one broker: agreed upon by beats that all hear. A value; times are of the steady clock.
///
/// Whoever leads says so at every beat, in a term that is higher than any before. It leads only as long as its own beats come back to it from the
/// broker: cut off, it stops well before others miss it. Who hears no leader for the whole limit, though its own beats come back, claims the next
/// term, and leads when nobody had a better claim for a while. Of two claims for one term the lesser name is the better.
package struct LeaseState: Sendable, Hashable {
    package struct Beat: Sendable, Hashable {
        package enum Kind: String, Sendable, Hashable { case standing, claiming, leading, leaving }
        package var kind: Kind
        package var server: String
        package var term: Int
        /// On the steady clock of the server, and of use to it alone; nil: not told.
        package var sent: Seconds?
        package init(_ kind: Kind, server: String, term: Int, sent: Seconds? = nil) {
            self.kind = kind
            self.server = server
            self.term = term
            self.sent = sent
        }
    }

    private enum Role: Sendable, Hashable {
        case standby
        /// Since the claim came back; nil: it has not.
        case candidate(heard: Seconds?)
        case leader
    }

    package let server: String
    /// Without a leader for so long, another one takes over.
    package let limit: Seconds
    /// The highest that is known.
    package private(set) var term: Int
    private var role = Role.standby
    /// When the last beat of our own was sent that came back: one that comes late, after a freeze say, tells nothing of now.
    private var ownHeard: Seconds?
    private var leader: (server: String, term: Int, heard: Seconds)?
    /// Since when silence counts.
    private var since: Seconds

    package init(server: String, limit: Seconds, term: Int, now: Seconds) {
        self.server = server
        self.limit = limit
        self.term = term
        since = now
    }

    package static func == (left: LeaseState, right: LeaseState) -> Bool {
        left.server == right.server && left.term == right.term && left.role == right.role && left.ownHeard == right.ownHeard
            && left.leader?.server == right.leader?.server
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(server)
        hasher.combine(term)
        hasher.combine(role)
    }

    /// The term that this server leads in at `now`; nil when it does not.
    package func leads(at now: Seconds) -> Int? {
        guard role == .leader, let ownHeard, now - ownHeard < limit * 0.5 else { return nil }
        return term
    }

    /// Whether that claim is the best one that is known, and of somebody else.
    package func yields(to beat: Beat) -> Bool {
        guard beat.kind == .claiming, let leader else { return false }
        return leader.server == beat.server && leader.term == beat.term
    }

    /// Who leads as far as is known; nil: nobody.
    package var leaderName: String? { role == .leader ? server : leader?.server }

    /// What is to be said now; called several times within a limit. A new term is at least the second of the wall clock: who was cut off while
    /// others led does not take a term that was theirs.
    package mutating func beat(at now: Seconds, wall: Seconds) -> Beat {
        if role != .standby, now - (ownHeard ?? since) >= limit * 0.5 {
            // Cut off: somebody else will lead. Nothing was heard of others either, so that their silence counts from now.
            role = .standby
            leader = nil
            since = now
        }
        if let known = leader, now - known.heard >= limit {
            leader = nil
            since = min(since, known.heard)
        }
        if role == .standby, leader == nil, let ownHeard, now - ownHeard < limit * 0.5, now - since >= limit {
            role = .candidate(heard: nil)
            term = max(term + 1, Int(wall))
        }
        if case .candidate(let heard?) = role, now - heard >= limit * 0.5 { role = .leader }
        switch role {
        case .standby: return Beat(.standing, server: server, term: 0, sent: now)
        case .candidate: return Beat(.claiming, server: server, term: term, sent: now)
        case .leader: return Beat(.leading, server: server, term: term, sent: now)
        }
    }

    /// Takes over what came from the broker.
    package mutating func heard(_ beat: Beat, at now: Seconds) {
        guard beat.server != server else {
            if beat.kind == .claiming, beat.term == term, role == .candidate(heard: nil) { role = .candidate(heard: now) }
            // While nothing came back, the silence of others told nothing.
            if role == .standby, leader == nil, now - (ownHeard ?? -.infinity) >= limit * 0.5 { since = now }
            ownHeard = max(ownHeard ?? -.infinity, min(beat.sent ?? now, now))
            return
        }
        switch beat.kind {
        case .standing: break
        case .leaving:
            term = max(term, beat.term)
            guard leader?.server == beat.server else { return }
            leader = nil
            // It said so itself: there is nothing to wait for.
            since = now - limit
        case .claiming, .leading:
            // Of an earlier term: it has not heard yet.
            guard beat.term >= term else { return }
            if beat.term == term {
                switch role {
                case .leader: return
                case .candidate: if beat.kind == .claiming, server < beat.server { return }
                case .standby: break
                }
            }
            term = beat.term
            role = .standby
            leader = (beat.server, beat.term, now)
            since = now
        }
    }

    /// The last word; nil where nothing is to be given up.
    package mutating func leave() -> Beat? {
        guard role == .leader else { return nil }
        role = .standby
        return Beat(.leaving, server: server, term: term)
    }
}
