import Autoscaler
import Testing

/// Arrivals that come again are expected; what was wrong is silent.
@Suite struct ForecastTests {
    /// 8 hours in which for 10 minutes of each hour 300 a second come, else 20; `chance` moves each burst somewhere else.
    private func history(isRegular: Bool) -> History {
        var random = SeededRandom(7)
        var published = 0
        var rows = [History.Row(time: 0, published: 0)]
        for hour in 0..<8 {
            let burst = isRegular ? 20 : Int.random(in: 0..<50, using: &random)
            for minute in 0..<60 {
                published += (burst..<burst + 10).contains(minute) ? 18_000 : 1_200
                rows.append(History.Row(time: Double(hour * 3600 + (minute + 1) * 60), published: published))
            }
        }
        return History(rows: rows)
    }

    private func run(isRegular: Bool, forecast: Bool) -> (SimulationSummary, [Decision]) {
        let conditions = [Given.queue(wait: 30)] + (forecast ? [.forecast(ForecastCondition(season: 3600))] : [])
        let (run, decisions) = Simulation(Given.policy(conditions, start: 90), history: history(isRegular: isRegular)).run()
        return (run.summary, decisions)
    }

    @Test func `bursts that come every hour are met by instances that are ready`() throws {
        let (with, decisions) = run(isRegular: true, forecast: true)
        let (without, _) = run(isRegular: true, forecast: false)
        #expect(try #require(with.late) < 0.6 * #require(without.late))
        // Silent until two seasons were seen.
        let spoke = decisions.first { $0.conditions[1].floor != nil }
        #expect(try #require(spoke).time >= 7200)
    }

    @Test func `a forecast that is worse than none is silent and says so`() {
        let (_, decisions) = run(isRegular: false, forecast: true)
        #expect(decisions.contains { $0.conditions[1].reason.contains("was worse") })
    }

    @Test func `a forecast never takes away`() {
        let (_, with) = run(isRegular: true, forecast: true)
        for decision in with {
            #expect(decision.conditions[1].desired == nil)
            #expect(decision.conditions[1].ceiling == nil)
        }
    }
}
