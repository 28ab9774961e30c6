import Foundation
import Streams
import TestSupport
import Testing

@testable import RedisBinder

@Suite(.enabled(if: RedisServer.isInstalled, "\(RedisServer.whyNot)"), .timeLimit(.minutes(3)))
struct RedisClusterTests {
    @Test func `on a cluster of two nodes every destination works, wherever its slot is`() async throws {
        let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"]
        try await RedisServer.with(arguments + ["--cluster-port", "\(freePort())"]) { one in
            let otherBus = freePort()
            try await RedisServer.with(arguments + ["--cluster-port", "\(otherBus)"]) { other in
                try await one.command("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
                try await other.command("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
                try await one.command("CLUSTER", "MEET", "127.0.0.1", "\(other.port)", "\(otherBus)")
                for server in [one, other] {
                    try await eventually(within: .seconds(30), "the cluster") {
                        try await server.command("CLUSTER", "INFO").contains("cluster_state:ok")
                    }
                }
                try await withBinder(one) { binder in
                    let group = try ConsumerGroup("workers")
                    for number in 0..<8 {
                        let destination = try fresh("d\(number)")
                        try await binder.prepare(group: group, of: destination)
                        _ = try await binder.publish(Envelope(text: "first"), to: destination)
                        let ready = try await binder.backlog(of: destination, group: group).ready
                        #expect(ready == 1)
                        try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                            try await deliveries.next()?.retry(after: .milliseconds(10))
                            let again = try await deliveries.next()?.take()
                            #expect(again?.attempt == 2)
                            try await again?.settlement.settle(.reject(FailureReason(message: "no")))
                            let replayed = try await binder.replay(nil, of: destination, group: group)
                            #expect(replayed == 1)
                            try await deliveries.next()?.accept()
                        }
                        try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions(start: .earliest)) {
                            deliveries in
                            let payload = try await deliveries.next()?.take().envelope.payload
                            #expect(payload == Array("first".utf8))
                        }
                    }
                }
                // Scripts of many take keys of one slot only there: each is asked alone.
                try await withBinder(one) { binder in
                    var groups: Set<DestinationGroup> = []
                    for number in 0..<12 {
                        let group = DestinationGroup(try fresh("many\(number)"), try ConsumerGroup("workers"))
                        groups.insert(group)
                        try await binder.prepare(group: group.group, of: group.destination)
                        _ = try await binder.publish(Envelope(text: "x"), to: group.destination)
                    }
                    let backlogs = await binder.backlogs(of: groups)
                    for group in groups { #expect(try backlogs[group]?.get().ready == 1) }
                }
                // Both nodes have some of them.
                for server in [one, other] {
                    let size = try await server.command("DBSIZE")
                    #expect(size != "0")
                }
            }
        }
    }
}
