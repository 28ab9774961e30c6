import Lifecycle
import Testing

@Suite struct BackOffTests {
    @Test func `pauses double up to their cap, with jitter, and begin again after a success`() {
        var backOff = BackOff(first: .milliseconds(100), longest: .seconds(2))
        let whole: [Duration] = [
            .milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800), .milliseconds(1600), .seconds(2), .seconds(2),
        ]
        for pause in whole {
            let next = backOff.next()
            #expect(next >= pause / 2 && next <= pause)
        }
        // However many fail.
        for _ in 0..<100 { #expect(backOff.next() <= .seconds(2)) }
        backOff.reset()
        #expect(backOff.next() <= .milliseconds(100))
    }
}
