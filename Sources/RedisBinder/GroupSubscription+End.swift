import Locking
import Streams

/// The end of a member: nothing stays with it.
extension GroupSubscription {
    func mayEnd() throws(RedisFailure) -> Bool {
        if !isDraining { startDraining() }
        guard teller != nil, stage == .serving else { return true }
        if hasLeft { return true }
        if reading > 0, let readerID, !isUnblocking {
            // The wait for entries must be over on the server too: it would hand the next one to a member that is no more.
            isUnblocking = true
            ask(RedisCommand("CLIENT", "UNBLOCK", readerID), .unblock)
        }
        guard reading == 0, settlings.isEmpty, acknowledgements.isEmpty, questions.isEmpty else { return false }
        let hasMore = inbox.withLock { !$0.accepted.isEmpty || !$0.settlings.isEmpty }
        if !hasMore {
            isLeaving = true
            ask(Scripts.leave(keys, group: group.name, member: member), .leave)
        }
        return false
    }

    func ended() {
        reader = nil
        teller = nil
        let late = inbox.withLock { inbox in
            inbox.isClosed = true
            defer { inbox.settlings = [] }
            return inbox.settlings
        }
        for settling in settlings + late { settling.call?.answer(.failure(Self.ended)) }
        while let (question, _) = questions.popFirst() {
            switch question {
            case .giveBack(let all): for one in all { one.settling.call?.answer(.failure(Self.ended)) }
            case .bury(let settling, _): settling.call?.answer(.failure(Self.ended))
            default: break
            }
        }
        settlings = []
        holdings = [:]
        desk.close()
    }
}
