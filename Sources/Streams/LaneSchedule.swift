/// Which of the events at hand may be handled next: at most `width` at once, those of one key one after the other in the order in which they
/// came, all others as soon as there is room. A value without tasks; whoever uses it runs what it says.
struct LaneSchedule<Item> {
    let width: Int
    private var running = 0
    /// Free to run, first come first served.
    private var ready: [Entry] = []
    private var firstReady = 0
    /// Keys with an event that runs or is ready, and what waits behind it.
    private var behind: [String: [Entry]] = [:]
    private(set) var count = 0

    struct Entry {
        let key: String?
        let item: Item
    }

    init(width: Int) { self.width = max(1, width) }

    mutating func add(_ item: Item, key: String?) {
        count += 1
        let entry = Entry(key: key, item: item)
        if let key {
            if behind[key] != nil {
                behind[key]?.append(entry)
                return
            }
            behind[key] = []
        }
        ready.append(entry)
    }

    /// The next event to handle; nil while there is none or no room.
    mutating func start() -> Entry? {
        guard running < width, firstReady < ready.count else { return nil }
        running += 1
        let entry = ready[firstReady]
        firstReady += 1
        if firstReady > 64, firstReady * 2 > ready.count {
            ready.removeFirst(firstReady)
            firstReady = 0
        }
        return entry
    }

    /// An event that was started is done.
    mutating func finish(_ entry: Entry) {
        running -= 1
        count -= 1
        guard let key = entry.key, var waiting = behind[key] else { return }
        if waiting.isEmpty {
            behind[key] = nil
        } else {
            ready.append(waiting.removeFirst())
            behind[key] = waiting
        }
    }

    /// Takes out all that has not been started.
    mutating func removeWaiting() -> [Item] {
        let items = ready[firstReady...].map(\.item) + behind.values.flatMap { $0.map(\.item) }
        ready = []
        firstReady = 0
        for key in behind.keys { behind[key] = [] }
        count = running
        return items
    }
}

extension LaneSchedule.Entry: Sendable where Item: Sendable {}
