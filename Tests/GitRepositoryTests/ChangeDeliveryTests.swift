import ConfigRepositories
import GitRepository
import Locking
import Testing

struct ChangeDeliveryTests {
    private func change(_ label: String, _ from: Int, _ to: Int, rejected: Bool = false) -> SnapshotChange {
        let repository = MemoryRepository([:], builder: EnvironmentBuilder(prefix: "", parsed: parsedFiles()))
        return SnapshotChange(
            label: label, from: "\(from)", to: "\(to)", paths: ["\(to)"], rejected: rejected ? ConfigError(.broken, "x") : nil,
            before: repository,
            after: repository)
    }

    @Test func `changes are told in order, also those that come while one is told`() async {
        let delivery = ChangeDelivery()
        let told = Locked<[String]>([])
        let more = change("main", 3, 4)
        delivery.set { change in
            told.withLock { $0.append(change.to) }
            if change.to == "2" {
                delivery.add([more])
                await delivery.deliver()  // the handler may set off deliveries itself
            }
        }
        delivery.add([change("main", 1, 2), change("main", 2, 3)])
        await delivery.start()
        #expect(told.withLock { $0 } == ["2", "3", "4"])
    }

    @Test func `when very many wait, steps of a branch are told as one and nothing is lost`() async {
        let delivery = ChangeDelivery()
        let told = Locked<[SnapshotChange]>([])
        delivery.set { change in told.withLock { $0.append(change) } }
        for number in 0..<1000 { delivery.add([change("main", number, number + 1), change("other", number, number + 1)]) }
        delivery.add([change("main", 1000, 1001, rejected: true)])
        await delivery.deliver()
        let all = told.withLock { $0 }
        #expect(all.count < 110)
        for label in ["main", "other"] {
            let steps = all.filter { $0.label == label && $0.rejected == nil }
            #expect(steps.first?.from == "0" && steps.last?.to == "1000")
            for (one, next) in zip(steps, steps.dropFirst()) { #expect(one.to == next.from) }
            #expect(Set(steps.flatMap(\.paths)).count == 1000)
        }
        #expect(all.last?.rejected != nil)
    }
}
