import ScalerRPC
import Testing

@Suite struct ScalerBoardTests {
    @Test func `a stream tells the state at its beginning and each change of it`() async throws {
        let board = ScalerBoard(counts: ["orders": 0])
        let stream = try #require(board.states(of: "orders"))
        board.set("orders", count: 2)
        board.set("orders", count: 2)
        board.set("other", count: 9)
        board.set("orders", count: 0)
        board.set("orders", nil)
        var counts: [Int] = []
        for await state in stream { counts.append(state.desired) }
        #expect(counts == [0, 2, 0])
    }

    @Test func `a reader that does not read misses the older changes and keeps the last ones`() async throws {
        let board = ScalerBoard(counts: ["orders": 0])
        let stream = try #require(board.states(of: "orders"))
        for count in 1...1000 { board.set("orders", count: count) }
        board.set("orders", nil)
        var counts: [Int] = []
        for await state in stream { counts.append(state.desired) }
        #expect(counts == Array(985...1000))
    }

    @Test func `there is nothing to tell of a policy that is not there`() {
        let board = ScalerBoard(counts: ["b": 1, "a": 2])
        #expect(board.state(of: "c") == nil)
        #expect(board.states(of: "c") == nil)
        #expect(board.policies == ["a", "b"])
        #expect(board.state(of: "a")?.desired == 2)
    }

    @Test func `a stream that is given up is forgotten`() async throws {
        let board = ScalerBoard(counts: ["orders": 1])
        do {
            let stream = try #require(board.states(of: "orders"))
            #expect(board.readers(of: "orders") == 1)
            for await _ in stream { break }
        }
        #expect(board.readers(of: "orders") == 0)
    }

    @Test(.timeLimit(.minutes(5))) func `readers that come and go while the state changes keep nobody waiting`() async throws {
        let board = ScalerBoard(counts: ["orders": 0])
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask { for count in 0..<5000 { board.set("orders", count: count) } }
                group.addTask {
                    for _ in 0..<500 {
                        let reader = Task {
                            guard let stream = board.states(of: "orders") else { return }
                            for await _ in stream {}
                        }
                        await Task.yield()
                        reader.cancel()
                        await reader.value
                    }
                }
            }
        }
        #expect(board.readers(of: "orders") == 0)
    }

    @Test func `the last state that a reader hears of is the last one`() async throws {
        let board = ScalerBoard(counts: ["orders": 0])
        let stream = try #require(board.states(of: "orders"))
        await withTaskGroup(of: Void.self) { group in
            for setter in 0..<8 { group.addTask { for count in 0..<1000 { board.set("orders", count: setter * 1000 + count) } } }
        }
        let last = board.state(of: "orders")
        board.set("orders", nil)
        var heard: ScalerState?
        for await state in stream { heard = state }
        #expect(heard == last)
    }
}
