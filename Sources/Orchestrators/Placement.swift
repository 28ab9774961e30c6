/// Which of several nodes run the workers: for supervisors on several machines. Pure: the same question has the same answer, whatever order the
/// nodes are named in.
package enum Placement: Sendable, Hashable {
    /// As even as can be: on the node with the fewest workers; taken away from the one with the most.
    case spread
    /// As few nodes as can be: on the fullest that has room; taken away from the emptiest.
    case binPacking
    /// On any that has room. The same seed chooses the same.
    case random(seed: UInt64)

    /// A machine that can run workers.
    package struct Node: Sendable, Hashable {
        package var name: String
        /// The most workers that it may run.
        package var capacity: Int
        package init(_ name: String, capacity: Int) {
            self.name = name
            self.capacity = max(0, capacity)
        }
    }

    /// How many of `count` new workers each node gets, beside those of `load` that it runs. Together fewer than `count` where the nodes have no
    /// more room; a node that gets none is not named. Of nodes with one name the first counts.
    package func place(_ count: Int, on nodes: [Node], load: [String: Int] = [:]) -> [String: Int] {
        var slots = Self.slots(nodes, load)
        var generator = Generator(self)
        let placed = move(
            count, among: &slots, by: 1, using: &generator, where: { $0.count < $0.capacity },
            before: { left, right in
                switch self {
                case .binPacking: (right.count, left.name) < (left.count, right.name)
                case .spread, .random: (left.count, left.name) < (right.count, right.name)
                }
            })
        return placed
    }

    /// How many workers each node gives up, so that `count` of those in `load` go. Together fewer than `count` where there are no more; those
    /// beyond a node's capacity, or on a node that is not among `nodes`, go first.
    package func remove(_ count: Int, from nodes: [Node], load: [String: Int]) -> [String: Int] {
        var slots = Self.slots(nodes, load)
        for name in load.keys where !slots.contains(where: { $0.name == name }) {
            slots.append(Slot(name: name, capacity: 0, count: load[name] ?? 0))
        }
        var generator = Generator(self)
        // What should not be there at all goes first, whatever the rule.
        var removed = move(
            count, among: &slots, by: -1, using: &generator, where: { $0.count > $0.capacity },
            before: { left, right in (right.count - right.capacity, left.name) < (left.count - left.capacity, right.name) })
        let rest = move(
            count - removed.values.reduce(0, +), among: &slots, by: -1, using: &generator, where: { $0.count > 0 },
            before: { left, right in
                switch self {
                case .binPacking: (left.count, left.name) < (right.count, right.name)
                case .spread, .random: (right.count, left.name) < (left.count, right.name)
                }
            })
        removed.merge(rest, uniquingKeysWith: +)
        return removed
    }

    private struct Slot {
        var name: String
        var capacity: Int
        var count: Int
    }

    private static func slots(_ nodes: [Node], _ load: [String: Int]) -> [Slot] {
        var seen: Set<String> = []
        return nodes.filter { seen.insert($0.name).inserted }
            .map { Slot(name: $0.name, capacity: $0.capacity, count: max(0, load[$0.name] ?? 0)) }
            .sorted { $0.name < $1.name }
    }

    /// One worker after another, each to or from the slot that is now before all others.
    private func move(
        _ count: Int, among slots: inout [Slot], by step: Int, using generator: inout Generator, where fits: (Slot) -> Bool,
        before: (Slot, Slot) -> Bool
    ) -> [String: Int] {
        var moved: [String: Int] = [:]
        for _ in 0..<max(0, count) {
            let open = slots.indices.filter { fits(slots[$0]) }
            let chosen: Int?
            switch self {
            case .random: chosen = open.randomElement(using: &generator)
            case .spread, .binPacking: chosen = open.min { before(slots[$0], slots[$1]) }
            }
            guard let chosen else { break }
            slots[chosen].count += step
            moved[slots[chosen].name, default: 0] += 1
        }
        return moved
    }

    /// SplitMix64: the same numbers for the same seed, on every machine.
    private struct Generator: RandomNumberGenerator {
        private var state: UInt64
        init(_ placement: Placement) { if case .random(let seed) = placement { state = seed } else { state = 0 } }

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
