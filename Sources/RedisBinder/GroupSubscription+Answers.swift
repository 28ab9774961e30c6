import Streams
import Telemetry
import ThreadExecutor

/// What the server's answers mean.
extension GroupSubscription {
    func received(_ reply: RedisReply, on index: Int) throws(RedisFailure) {
        if index == 0 { try receivedByReader(reply) } else { try receivedByTeller(reply) }
    }

    func receivedByReader(_ reply: RedisReply) throws(RedisFailure) {
        if readerAsked {
            readerAsked = false
            readerID = reply.integer.map(String.init)
            return
        }
        guard reading > 0 else { throw RedisFailure(.broken, "an answer that nobody asked for") }
        reading = 0
        readFrom = Monotonic.now + Self.readPause
        if let failure = reply.failure {
            guard failure.isGone else { throw failure }
            return rebuild(failure)
        }
        guard !reply.isNone else { return }
        var cursor = ReplyCursor(reply)
        try cursor.array(of: 1)
        try cursor.array(of: 2)
        try cursor.skip()
        for _ in 0..<(try cursor.array()) {
            if let entry = try StreamEntry.read(&cursor) { take(entry, attempt: 1) }
        }
    }

    func take(_ entry: StreamEntry, attempt: Int) {
        if let target = entry.target, target != group.name {
            acknowledgements.append(entry.id)
            return
        }
        nextTicket += 1
        holdings[nextTicket] = Holding(id: entry.id, attempt: attempt)
        let settlement = GroupSettlement(subscription: self, ticket: nextTicket)
        if isDraining {
            settlements(release: nextTicket)
            return
        }
        incoming.append(
            ReceivedEnvelope(envelope: entry.envelope, attempt: attempt, position: entry.id.description, settlement: settlement))
    }

    func settlements(release ticket: UInt64) {
        settlings.append(Settling(ticket: ticket, action: .release, call: nil))
    }

    func receivedAll() throws(RedisFailure) {
        guard !incoming.isEmpty else { return }
        desk.put(incoming)
        incoming.removeAll(keepingCapacity: true)
    }

    func receivedByTeller(_ reply: RedisReply) throws(RedisFailure) {
        guard let (question, _) = questions.popFirst() else { throw RedisFailure(.broken, "an answer that nobody asked for") }
        let failure = reply.failure
        if let failure, failure.isUnavailable || failure.moved != nil { return try giveUp(question, failure) }
        switch question {
        case .unblock, .trim: break
        case .acknowledge: if let failure, !failure.isGone { return try giveUp(question, failure) }
        case .ensure: try ensured(reply)
        case .ours: try checked(question, reply)
        case .giveBack(let all): givenBack(all, failure)
        case .bury(let settling, let holding): buried(settling, holding, failure)
        case .tick(_, let asked): try ticked(reply, asked)
        case .leave: hasLeft = true
        }
    }

    /// Puts the question back, so that it is asked on the next connection.
    func giveUp(_ question: Question, _ failure: RedisFailure) throws(RedisFailure) {
        var all = FIFO<(question: Question, at: UInt64)>()
        all.append((question, Monotonic.now))
        while let next = questions.popFirst() { all.append(next) }
        questions = all
        throw failure
    }

    func ensured(_ reply: RedisReply) throws(RedisFailure) {
        if let failure = reply.failure {
            guard !failure.isRefused, failure.binderError.code != .conflict else {
                stage = .failed
                if failure.isRefused { throw failure }
                return desk.fail(failure.binderError)
            }
            throw failure
        }
        var cursor = ReplyCursor(reply)
        try cursor.array(of: 2)
        let isNew = try cursor.integer() == 1
        let mayLack = try cursor.integer() == 1
        isKnown = true
        missed = missed || (isNew && mayLack)
        stage = .checking
        nextTick = 0
        if wasReady { askForOurs(from: .zero, idle: 0) } else { serve() }
    }

    func checked(_ question: Question, _ reply: RedisReply) throws(RedisFailure) {
        guard case .ours = question else { return }
        if let failure = reply.failure {
            guard failure.isGone else { throw failure }
            return rebuild(failure)
        }
        var cursor = ReplyCursor(reply)
        let count = try cursor.array()
        let held = Set(holdings.values.map(\.id))
        let now = Monotonic.now
        var last = StreamID.zero
        for _ in 0..<count {
            try cursor.array(of: 4)
            last = try cursor.id()
            for _ in 0..<3 { try cursor.skip() }
            if !held.contains(last), stray[last] == nil, !isUnderWay(last) { stray[last] = now }
        }
        if count >= 1000 {
            askForOurs(from: StreamID(last.milliseconds, last.number &+ 1), idle: 0)
        } else if stage == .checking {
            serve()
        }
    }

    /// Whether the server will be told, or was and has not answered, that we no longer have the entry.
    func isUnderWay(_ id: StreamID) -> Bool {
        if acknowledgements.contains(id) { return true }
        for offset in 0..<questions.count {
            switch questions[offset]?.question {
            case .acknowledge(let ids)?: if ids.contains(id) { return true }
            case .giveBack(let all)?: if all.contains(where: { $0.holding.id == id }) { return true }
            case .bury(_, let holding)?: if holding.id == id { return true }
            case .tick(_, let asked)?: if asked.contains(id) { return true }
            default: break
            }
        }
        return false
    }

    func serve() {
        stage = .serving
        guard !isDraining else { return }
        if !wasReady {
            wasReady = true
            options.events(.ready)
            if missed { options.events(.gap) }
        } else {
            options.events(missed ? .gap : .resumed)
        }
        missed = false
        desk.ready()
    }

    func givenBack(_ all: [(settling: Settling, holding: Holding)], _ failure: RedisFailure?) {
        for (settling, holding) in all {
            guard let failure else {
                settling.call?.answer(.success(RedisReply()))
                continue
            }
            settling.call?.answer(.failure(failure.binderError))
            // It is still ours: without the server's list of retries we keep the time ourselves.
            if case .retry(let delay) = settling.action, !failure.isGone { stray[holding.id] = Monotonic.now + UInt64(delay) * 1_000_000 }
        }
    }

    func buried(_ settling: Settling, _ holding: Holding, _ failure: RedisFailure?) {
        guard let failure else {
            metrics.count(
                "carillon_dead_letters_total", ["destination": destination.name],
                help: "Rejected deliveries that were kept as dead letters.")
            settling.call?.answer(.success(RedisReply()))
            return
        }
        settling.call?.answer(.failure(failure.binderError))
        if !failure.isGone { stray[holding.id] = Monotonic.now + Self.pause }
    }

    func ticked(_ reply: RedisReply, _ asked: [StreamID]) throws(RedisFailure) {
        isTicking = false
        claiming = 0
        if let failure = reply.failure {
            for id in asked { stray[id] = Monotonic.now }
            guard failure.isGone || failure.isBlocked else { throw failure }
            if failure.isGone { rebuild(failure) }
            return
        }
        var cursor = ReplyCursor(reply)
        try cursor.array(of: 3)
        let next = try cursor.integer()
        let lost = try cursor.integer()
        for _ in 0..<(try cursor.array()) {
            try cursor.array(of: 3)
            let id = try cursor.id()
            let attempt = Int(clamping: try cursor.integer())
            let entry = try EntryFields.read(&cursor, try cursor.array(), id: id)
            take(entry, attempt: attempt)
        }
        if lost > 0 {
            log.warning(
                "events that waited for a retry were deleted from their stream", ["destination": destination.name, "count": "\(lost)"])
        }
        if next >= 0 {
            // What is due and found no room here is looked for again when there is some, or by another member.
            if next == 0, !hasRoom { isDue = true } else { nextTick = min(nextTick, Monotonic.now + UInt64(next) * 1_000_000) }
        }
    }
}
