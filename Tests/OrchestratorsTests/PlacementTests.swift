import Orchestrators
import TestSupport
import Testing

@Suite struct PlacementTests {
    private let nodes = [Placement.Node("a", capacity: 4), Placement.Node("b", capacity: 4), Placement.Node("c", capacity: 2)]

    @Test func spreadEvensOut() {
        #expect(Placement.spread.place(4, on: nodes, load: ["a": 2]) == ["b": 2, "c": 2])
        #expect(Placement.spread.remove(2, from: nodes, load: ["a": 3, "b": 1]) == ["a": 2])
    }

    @Test func binPackingFillsAndEmptiesNodes() {
        #expect(Placement.binPacking.place(5, on: nodes, load: ["b": 1]) == ["b": 3, "a": 2])
        #expect(Placement.binPacking.remove(3, from: nodes, load: ["a": 3, "b": 2, "c": 1]) == ["c": 1, "b": 2])
    }

    @Test func randomIsTheSameForTheSameSeed() {
        let once = Placement.random(seed: 7).place(6, on: nodes)
        #expect(once == Placement.random(seed: 7).place(6, on: nodes.reversed()))
        #expect((0..<20).contains { Placement.random(seed: $0).place(6, on: nodes) != once })
    }

    @Test func whatShouldNotBeThereGoesFirst() {
        for rule in [Placement.spread, .binPacking, .random(seed: 1)] {
            #expect(rule.remove(3, from: nodes, load: ["a": 1, "c": 3, "gone": 2]) == ["c": 1, "gone": 2])
        }
    }

    /// Whatever is asked: no node beyond its capacity, none below zero, exactly as many as asked where there is room, the order of nodes no matter.
    @Test(arguments: 0..<300) func holdsItsBounds(seed: UInt64) {
        var random = SplitMix(state: seed)
        let nodes = (0..<Int.random(in: 0...6, using: &random)).map {
            Placement.Node("n\($0)", capacity: Int.random(in: 0...5, using: &random))
        }
        var load: [String: Int] = [:]
        for node in nodes { load[node.name] = Int.random(in: 0...node.capacity, using: &random) }
        let count = Int.random(in: 0...20, using: &random)
        let room = nodes.map { $0.capacity - (load[$0.name] ?? 0) }.reduce(0, +)
        let total = load.values.reduce(0, +)
        for rule in [Placement.spread, .binPacking, .random(seed: seed)] {
            let placed = rule.place(count, on: nodes, load: load)
            #expect(placed.values.reduce(0, +) == min(count, room))
            #expect(placed == rule.place(count, on: nodes.reversed(), load: load))
            for node in nodes { #expect((load[node.name] ?? 0) + (placed[node.name] ?? 0) <= node.capacity) }
            let removed = rule.remove(count, from: nodes, load: load)
            #expect(removed.values.reduce(0, +) == min(count, total))
            #expect(removed == rule.remove(count, from: nodes.reversed(), load: load))
            for (name, gone) in removed { #expect(gone > 0 && gone <= load[name] ?? 0) }
            // What one has placed and taken away again is as it was in number, and as even as it can be.
            if rule == .spread,
                let most = nodes.compactMap({ placed[$0.name] == nil ? nil : (load[$0.name] ?? 0) + (placed[$0.name] ?? 0) }).max()
            {
                for node in nodes where (load[node.name] ?? 0) + (placed[node.name] ?? 0) < node.capacity {
                    #expect((load[node.name] ?? 0) + (placed[node.name] ?? 0) >= most - 1)
                }
            }
            if rule == .binPacking {
                // At most one node is begun: all others that were given some are full.
                #expect(
                    nodes.filter { (placed[$0.name] ?? 0) > 0 && (load[$0.name] ?? 0) + (placed[$0.name] ?? 0) < $0.capacity }.count <= 1)
            }
        }
    }
}
