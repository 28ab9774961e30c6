/// Keys in order, so that those below another one lie side by side: a file may have a hundred thousand.
struct SortedKeys {
    private let keys: [String]

    init(_ keys: some Sequence<String>) { self.keys = keys.sorted() }

    /// Those that begin so.
    func beginning(with prefix: String) -> ArraySlice<String> {
        keys[start(of: prefix)...].prefix { $0.hasPrefix(prefix) }
    }

    /// Whether there is any member or item of `key`.
    func hasAny(below key: String) -> Bool {
        [".", "["].contains { sign in
            let place = start(of: key + sign)
            return place < keys.count && keys[place].hasPrefix(key + sign)
        }
    }

    /// The place of the first that is not before `prefix`.
    private func start(of prefix: String) -> Int {
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < prefix { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
