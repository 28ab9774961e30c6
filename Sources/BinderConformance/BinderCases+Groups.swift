internal import Streams

extension BinderCases {
    package static let groups: [BinderCase] = [
        BinderCase("B1", "each of two groups gets all events") { bench in
            let destination = try bench.destination()
            let (first, second) = try await bench.withMembers(2, of: destination, group: try bench.group("one")) { one in
                try await bench.withMembers(2, of: destination, group: try bench.group("two")) { two in
                    try await bench.send(texts(50), to: destination)
                    try await eventually(within: bench.patience, "100 deliveries") { one.count >= 50 && two.count >= 50 }
                    return (one.texts, two.texts)
                }
            }
            try demandEqual(first.sorted(), texts(50).sorted(), "group one")
            try demandEqual(second.sorted(), texts(50).sorted(), "group two")
        },
        BinderCase("B2", "three members share a group: together they get all, each event goes to one") { bench in
            let destination = try bench.destination()
            let seen = try await bench.withMembers(3, of: destination, group: try bench.group(), prefetch: 1) { collector in
                try await bench.send(texts(300), to: destination)
                try await eventually(within: bench.patience, "300 deliveries") { collector.count >= 300 }
                return collector.all
            }
            try demandEqual(seen.map(\.text).sorted(), texts(300).sorted(), "texts")
            try demandEqual(Set(seen.map(\.member)).count, 3, "members that got any")
        },
        BinderCase(
            "B3", "without a group every subscription gets everything from its start, and nothing of the time when it is away",
            needs: .broadcast
        ) {
            bench in
            let destination = try bench.destination()
            try await bench.withMembers(1, of: destination, group: nil, binder: bench.binder) { one in
                try await bench.withMembers(1, of: destination, group: nil, binder: bench.peer) { two in
                    try await bench.send(texts(20), to: destination)
                    try await eventually(within: bench.patience, "40 deliveries") { one.count >= 20 && two.count >= 20 }
                    try demandEqual(two.texts, texts(20), "second subscription")
                }
                try await bench.send(["away"], to: destination)
                try await bench.withMembers(1, of: destination, group: nil, binder: bench.peer) { again in
                    try await bench.send(["back"], to: destination)
                    try await eventually(within: bench.patience, "the last delivery") { again.count >= 1 && one.count >= 22 }
                    try demandEqual(again.texts, ["back"], "subscription that was away")
                }
                try demandEqual(one.texts, texts(20) + ["away", "back"], "first subscription")
            }
        },
        BinderCase("B4", "a prepared group gets what was sent before its first member", needs: .durableGroups) { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(texts(20), to: destination)
            try await bench.binder.prepare(group: group, of: destination)
            let seen = try await bench.receive(20, from: destination, group: group, binder: bench.peer)
            try demandEqual(seen.map(\.text), texts(20), "texts")
        },
        BinderCase("B5", "a member that joins under load costs nothing") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            let all = try await bench.withMembers(1, of: destination, group: group, prefetch: 4) { one in
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { try await bench.send(texts(400), to: destination) }
                    try await eventually(within: bench.patience, "the first deliveries") { one.count >= 20 }
                    let late = try await bench.withMembers(1, of: destination, group: group, prefetch: 4, binder: bench.peer) { two in
                        try await eventually(within: bench.patience, "400 deliveries") { one.count + two.count >= 400 }
                        return two.texts
                    }
                    try await tasks.waitForAll()
                    return one.texts + late
                }
            }
            try demandEqual(all.sorted(), texts(400).sorted(), "texts")
        },
        BinderCase("B6", "what a member that goes away has in hand comes to the others") { bench in
            let destination = try bench.destination()
            let group = try bench.group()
            try await bench.binder.prepare(group: group, of: destination)
            try await bench.send(texts(10), to: destination)
            struct Crash: Error {}
            do {
                try await bench.peer.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 10)) {
                    deliveries in
                    var held: [ReceivedEnvelope] = []
                    while held.count < 10, let delivery = try await deliveries.next() { held.append(delivery.take()) }
                    throw Crash()
                }
            } catch is Crash {}
            let seen = try await bench.receive(10, from: destination, group: group)
            try demandEqual(seen.map(\.text).sorted(), texts(10).sorted(), "texts")
            try demand(seen.allSatisfy { $0.attempt >= 2 }, "attempts are \(seen.map(\.attempt))")
            guard bench.capabilities.contains(.remote) else { return }
            // And one that is killed: its connections break, and it never comes back.
            try await bench.send(texts(10, "killed"), to: destination)
            try await bench.withProxied { binder, proxy in
                try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions(prefetch: 10)) { deliveries in
                    var held: [ReceivedEnvelope] = []
                    while held.count < 10, let delivery = try await deliveries.next() { held.append(delivery.take()) }
                    await proxy.refuse(true)
                    await proxy.reset()
                    let seen = try await bench.receive(10, from: destination, group: group)
                    try demandEqual(seen.map(\.text).sorted(), texts(10, "killed").sorted(), "texts of the killed member")
                    await proxy.refuse(false)
                    for one in held { one.settlement.abandon() }
                }
            }
        },
        BinderCase("B7", "a new group starts at the earliest event or at the latest, as asked", needs: .replay) { bench in
            let destination = try bench.destination()
            try await bench.send(texts(10, "old"), to: destination)
            let early = try await bench.receive(10, from: destination, group: try bench.group("early"), start: .earliest)
            try demandEqual(early.map(\.text), texts(10, "old"), "early group")
            try await bench.withMembers(of: destination, group: try bench.group("late"), start: .latest) { late in
                try await bench.send(["new"], to: destination)
                try await eventually(within: bench.patience, "the new event") { late.count >= 1 }
                try demandEqual(late.texts, ["new"], "late group")
            }
            let existing = try await bench.withMembers(of: destination, group: try bench.group("early"), start: .earliest) { again in
                try await eventually(within: bench.patience, "the new event") { again.count >= 1 }
                return again.texts
            }
            try demandEqual(existing, ["new"], "an existing group goes on where it stood")
        },
        BinderCase("B8", "a destination and a group with dots do not meet another pair that reads the same") { bench in
            let one = try bench.destination("a.b")
            let other = try bench.destination("a")
            try await bench.withMembers(of: one, group: try bench.group(exactly: "c")) { first in
                do {
                    try await bench.withMembers(of: other, group: try bench.group(exactly: "b.c")) { second in
                        try await bench.send(["to one"], to: one)
                        try await bench.send(["to other"], to: other)
                        try await eventually(within: bench.patience, "both deliveries") { first.count >= 1 && second.count >= 1 }
                        try demandEqual(first.texts, ["to one"], "a.b + c")
                        try demandEqual(second.texts, ["to other"], "a + b.c")
                    }
                } catch let error as BinderError { try demand([.invalid, .conflict].contains(error.code), "refused by \(error)") }
            }
        },
        BinderCase("B9", "the first event after ready is never missed, fifty times", needs: .broadcast) { bench in
            for round in 0..<50 {
                let destination = try bench.destination("round\(round)")
                let group = round.isMultiple(of: 2) ? nil : try bench.group()
                try await bench.withMembers(of: destination, group: group, binder: bench.peer) { collector in
                    try await bench.send(["first"], to: destination)
                    try await eventually(within: bench.patience, "the first event of round \(round)") { collector.count >= 1 }
                    try demandEqual(collector.texts, ["first"], "texts of round \(round)")
                }
            }
        },
        BinderCase("R1", "a broadcast subscription resumes behind a position it has seen", needs: .replay) { bench in
            let destination = try bench.destination()
            let seen = try await bench.withMembers(of: destination, group: nil) { collector in
                try await bench.send(texts(5), to: destination)
                try await eventually(within: bench.patience, "5 deliveries") { collector.count >= 5 }
                return collector.all
            }
            try await bench.send(texts(5, "away"), to: destination)
            guard let position = seen[2].position else { throw CaseFailed(description: "a delivery came without its position") }
            let rest = try await bench.receive(7, from: destination, group: nil, start: .after(position))
            try demandEqual(rest.map(\.text), ["e3", "e4"] + texts(5, "away"), "texts")
            let all = try await bench.receive(10, from: destination, group: nil, start: .earliest)
            try demandEqual(all.map(\.text), texts(5) + texts(5, "away"), "texts from the earliest on")
        },
    ]
}
