/// Arrivals to come, from a level and a season, with a margin that is calibrated by its own errors.
///
/// It is silent until it has seen two seasons, and whenever it was worse during the last one than believing that things stay as they are.
struct Forecast: Sendable, Hashable, Codable {
    private static let levelWeight = 0.3
    private static let seasonWeight = 0.15
    private static let bins = 288

    private let condition: ForecastCondition
    /// Width of a bin and how many a season has.
    private let width: Seconds
    private let count: Int
    /// Bins to look ahead.
    private let horizon: Int

    private var began: Seconds?
    private var bin = 0
    private var sum = 0.0
    private var weight = 0.0
    /// Means of the bins, as many as are needed; nil where nothing was known.
    private var recent: [Double?] = []
    private var season: [Double] = []
    private var level = 0.0
    private var seen = 0
    /// What was said of the bins to come, oldest first, until they have come.
    private var open: [Said] = []
    private var errors: [Double] = []
    private var naiveErrors: [Double] = []
    private var loss = 0.0
    private var naiveLoss = 0.0
    /// Messages a second that `quantile` of the times is not exceeded within the horizon; nil while it is silent.
    private(set) var rate: Double?
    private(set) var state = "has not seen two seasons"

    private struct Said: Sendable, Hashable, Codable {
        var bin: Int
        var value: Double
        var naive: Double
        /// With the margins of that time: what the losses are counted from.
        var margin: Double?
        var naiveMargin: Double?
    }

    init(_ condition: ForecastCondition, poll: Seconds, deadTime: Seconds) {
        self.condition = condition
        width = max(poll, condition.season / Double(Self.bins))
        count = max(2, Int((condition.season / width).rounded()))
        horizon = max(1, Int((deadTime / width).rounded(.up)))
    }

    /// `arrivals`: a second, over the `elapsed` seconds before `clock`; nil when unknown.
    mutating func observe(arrivals: Double?, elapsed: Seconds, at clock: Seconds) {
        guard let began else {
            self.began = clock
            return
        }
        let now = Int(((clock - began) / width + 1e-9).rounded(.down))
        if let arrivals, elapsed > 0 {
            sum += arrivals * elapsed
            weight += elapsed
        }
        // A long silence closes its bins without a number, a season of them at most.
        var closed = 0
        while bin < now, closed <= count {
            close(weight > 0 ? sum / weight : nil)
            (sum, weight) = (0, 0)
            bin += 1
            closed += 1
        }
        bin = max(bin, now)
    }

    private mutating func close(_ value: Double?) {
        let phase = bin % count
        recent.append(value)
        if recent.count > max(count, horizon) { recent.removeFirst() }
        if season.isEmpty {
            guard bin >= count - 1 else { return }
            let known = recent.compactMap { $0 }
            guard !known.isEmpty else { return }
            level = known.reduce(0, +) / Double(known.count)
            season = [Double](repeating: 0, count: count)
            for (offset, value) in recent.enumerated() {
                season[((bin - recent.count + 1 + offset) % count + count) % count] = (value ?? level) - level
            }
        } else if let value {
            let old = level
            level += Self.levelWeight * (value - season[phase] - level)
            season[phase] += Self.seasonWeight * (value - old - season[phase])
        }
        seen += 1
        settle()
        say(after: value)
    }

    /// Compares what was said with what came.
    private mutating func settle() {
        while let said = open.first, said.bin + horizon <= bin {
            open.removeFirst()
            let came = recent.suffix(horizon).compactMap { $0 }
            guard let highest = came.max(), came.count == min(horizon, recent.count) else { continue }
            if let margin = said.margin, let naiveMargin = said.naiveMargin {
                let weight = 1 / Double(count)
                loss += weight * (pinball(highest - max(0, said.value + margin)) - loss)
                naiveLoss += weight * (pinball(highest - max(0, said.naive + naiveMargin)) - naiveLoss)
            }
            errors.append(highest - said.value)
            naiveErrors.append(highest - said.naive)
            if errors.count > 2 * count {
                errors.removeFirst()
                naiveErrors.removeFirst()
            }
        }
    }

    private mutating func say(after value: Double?) {
        guard !season.isEmpty, let value else {
            rate = nil
            return
        }
        let ahead = (1...horizon).map { level + season[(bin + $0) % count] }
        let highest = ahead.max() ?? level
        let margin = quantile(errors)
        open.append(Said(bin: bin, value: highest, naive: value, margin: margin, naiveMargin: quantile(naiveErrors)))
        guard seen > count, let margin else {
            rate = nil
            return
        }
        guard loss <= naiveLoss else {
            rate = nil
            state = "was worse during the last season than believing that arrivals stay as they are"
            return
        }
        rate = max(0, highest + margin)
        state = ""
    }

    private func quantile(_ errors: [Double]) -> Double? {
        guard errors.count >= min(count, 20) / 2 else { return nil }
        let sorted = errors.sorted()
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * condition.quantile))]
    }

    private func pinball(_ error: Double) -> Double { error >= 0 ? condition.quantile * error : (condition.quantile - 1) * error }

    /// Only ever a floor: a forecast of less takes nothing away.
    func outcome(rate instanceRate: Double) -> ConditionOutcome {
        guard let rate else { return ConditionOutcome(kind: "forecast", reason: "silent: \(state)") }
        return ConditionOutcome(
            kind: "forecast", floor: QueueLaw.whole(rate / (QueueLaw.utilisation * instanceRate)),
            reason:
                "up to \(Phrase.number(rate)) messages/s are expected within \(Phrase.duration(Double(horizon) * width)), as a season of \(Phrase.duration(condition.season)) ago"
        )
    }
}
