import Streams
import Testing

@Suite struct RetryPolicyTests {
    private struct Broken: Error {}

    @Test func `pauses double from one second up to ten`() {
        let policy = RetryPolicy(attempts: 8)
        #expect((2...8).map { policy.pause(before: $0, random: 0.9) } == [1, 2, 4, 8, 10, 10, 10].map { Duration.seconds($0) })
    }

    @Test func `jitter varies a pause by its part at most`() {
        let policy = RetryPolicy(jitter: 0.2)
        #expect(policy.pause(before: 2, random: 0) == .milliseconds(800))
        #expect(policy.pause(before: 2, random: 0.5) == .seconds(1))
        #expect(policy.pause(before: 2, random: 0.999) < .milliseconds(1200))
    }

    @Test func `after the calls in this process come the rounds through the binder, then the dead letters`() {
        let policy = RetryPolicy(attempts: 2, laterRounds: [.seconds(30), .seconds(300)])
        var actions: [RetryPolicy.Action] = []
        for round in 1...3 { for call in 1...2 { actions.append(policy.action(after: Broken(), call: call, round: round)) } }
        #expect(
            actions == [
                .again(after: .seconds(1)), .later(after: .seconds(30)), .again(after: .seconds(1)), .later(after: .seconds(300)),
                .again(after: .seconds(1)), .giveUp(FailureReason(Broken())),
            ])
    }

    @Test func `what will never succeed is given up at once`() {
        let policy = RetryPolicy(laterRounds: [.seconds(1)])
        let error = PermanentFailure("not for us")
        #expect(policy.action(after: error, call: 1, round: 1) == .giveUp(FailureReason(error)))
        #expect(FailureReason(error).message == "not for us")
        let picky = RetryPolicy(isRetryable: { !($0 is Broken) })
        #expect(picky.action(after: Broken(), call: 1, round: 1) == .giveUp(FailureReason(Broken())))
    }

    @Test func `a long reason is cut to fit into headers`() {
        let reason = FailureReason(PermanentFailure(String(repeating: "ü", count: 100_000)))
        #expect(reason.message.utf8.count <= 2010)
    }

    @Test(arguments: [0, -5]) func `fewer than one attempt is one`(attempts: Int) {
        #expect(RetryPolicy(attempts: attempts).action(after: Broken(), call: 1, round: 1) == .giveUp(FailureReason(Broken())))
    }
}
