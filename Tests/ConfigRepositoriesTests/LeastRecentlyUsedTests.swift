import ConfigRepositories
import Testing

struct LeastRecentlyUsedTests {
    @Test func `what was not asked for longest leaves first`() {
        var cache = LeastRecentlyUsed<String, Int>(limit: 2)
        cache.insert(1, for: "a")
        cache.insert(2, for: "b")
        #expect(cache.value(for: "a") == 1)
        cache.insert(3, for: "c")
        #expect(cache.value(for: "b") == nil)
        #expect(cache.keys == ["c", "a"])
        cache.insert(4, for: "a")
        #expect(cache.keys == ["a", "c"])
        #expect(cache.value(for: "a") == 4)
    }

    @Test func `costs never exceed the limit, whatever is done`() {
        var generator = SystemRandomNumberGenerator()
        var cache = LeastRecentlyUsed<Int, Int>(limit: 50)
        var model: [Int: (value: Int, cost: Int)] = [:]
        for step in 0..<10_000 {
            let key = Int.random(in: 0..<40, using: &generator)
            switch step % 3 {
            case 0:
                let cost = Int.random(in: 0...60, using: &generator)
                cache.insert(step, for: key, cost: cost)
                model[key] = cost <= 50 ? (step, cost) : nil
            case 1: if let value = cache.value(for: key) { #expect(value == model[key]?.value) }
            default:
                cache.remove(key)
                #expect(cache.value(for: key) == nil)
            }
            #expect(cache.cost <= 50)
            #expect(cache.keys.count == cache.count)
            #expect(cache.cost == cache.keys.reduce(0) { $0 + (model[$1]?.cost ?? 0) })
        }
    }
}
