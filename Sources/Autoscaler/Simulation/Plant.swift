/// Simulated workers before a simulated queue: first in, first out, each message on one instance for the same time.
///
/// An instance that is ordered at t serves from t + start and costs from t. A lower count takes those still starting first, then ready ones at once.
struct Plant: Sendable {
    private let start: Seconds
    private let service: Seconds
    private let promise: Seconds
    private var arrivals: HistoryCursor
    private var counting: HistoryCursor
    /// When each ready instance is free for the next message, ascending, from `head` on. Messages begin in the order in which they came, so
    /// they end in that order too: what is taken from the front goes to the back.
    private var free: [Seconds] = []
    private var head = 0
    /// When each instance on its way will be ready, ascending.
    private(set) var starting: [Seconds] = []
    private(set) var began = 0
    private(set) var late = 0
    private(set) var maximumWait: Seconds = 0
    private(set) var now: Seconds

    init(_ history: History, rate: Double, start: Seconds, promise: Seconds, ready: Int) {
        self.start = start
        self.promise = promise
        service = 1 / rate
        arrivals = HistoryCursor(history)
        counting = HistoryCursor(history)
        now = history.begin
        free = [Seconds](repeating: history.begin, count: ready)
    }

    var ready: Int { free.count - head }
    var count: Int { ready + starting.count }

    /// Lets time pass up to `time`; stops at the first late message when `isStrict`.
    mutating func advance(to time: Seconds, isStrict: Bool = false) {
        while let first = starting.first, first <= time {
            serve(until: first, isStrict: isStrict)
            let number = starting.prefix { $0 == first }.count
            starting.removeFirst(number)
            let place = firstBusy(after: first)
            free.insert(contentsOf: repeatElement(first, count: number), at: place)
        }
        serve(until: time, isStrict: isStrict)
        now = time
    }

    private mutating func serve(until end: Seconds, isStrict: Bool) {
        guard head < free.count else { return }
        while let arrival = arrivals.arrival, arrival <= end {
            let begin = max(arrival, free[head])
            if begin > end { break }
            head += 1
            free.append(begin + service)
            if head > 4096, head > free.count / 2 {
                free.removeFirst(head)
                head = 0
            }
            began += 1
            arrivals.take()
            let wait = begin - arrival
            if wait > maximumWait { maximumWait = wait }
            if wait > promise + 1e-6 {
                late += 1
                if isStrict { break }
            }
        }
    }

    /// The index of the first instance that is not free at `time`.
    private func firstBusy(after time: Seconds) -> Int {
        var low = head
        var high = free.count
        while low < high {
            let middle = (low + high) / 2
            if free[middle] <= time { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Orders or takes away instances, now.
    mutating func set(_ desired: Int) {
        if desired > count {
            starting.append(contentsOf: repeatElement(now + start, count: desired - count))
        } else {
            let unborn = min(starting.count, count - desired)
            starting.removeLast(unborn)
            head += count - desired
        }
    }

    mutating func arrived() -> Int { counting.arrived(at: now) }

    /// Those in hand.
    var busy: Int { free.count - firstBusy(after: now) }

    /// How long the first in the queue has waited; 0 when none waits.
    var oldest: Seconds { arrivals.arrival.map { max(0, now - $0) } ?? 0 }

    /// Counts those that still wait at the end: they have waited until then.
    mutating func close() {
        while let arrival = arrivals.arrival, arrival <= now {
            arrivals.take()
            maximumWait = max(maximumWait, now - arrival)
            if now - arrival > promise + 1e-6 { late += 1 } else { break }
        }
    }
}
