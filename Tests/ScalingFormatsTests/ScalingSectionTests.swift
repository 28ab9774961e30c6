import Autoscaler
import Foundation
import ScalingFormats
import Settings
import Testing

/// Policies as operators write them.
@Suite struct ScalingSectionTests {
    private func section(_ text: String) throws -> ScalingSection {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("carillon-scaling-\(UUID().uuidString).yaml").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return try ScalingSection.read(path)
    }

    private func policy(_ conditions: String, more: String = "") -> String {
        """
        scaling:
          policies:
            orders:
              max: 40
              instance: {rate: 10, start: 20s}
              conditions:
                - \(conditions)
              \(more)
        """
    }

    /// Where each look at a key went over all of them this took hours.
    @Test(.timeLimit(.minutes(5))) func `ten thousand policies are read`() throws {
        let policies = (0..<10_000).map { number in
            """
                p\(number):
                  max: \(number % 50 + 1)
                  conditions: [{queue: {destination: d\(number), group: workers, wait: 60s}}]
                  instance: {rate: 10, start: 20s}
                  target: {exec: {command: [./scale, "\(number)"]}}
            """
        }
        let section = try section("scaling:\n  policies:\n" + policies.joined(separator: "\n"))
        #expect(section.entries.count == 10_000)
        #expect(section.entries.first { $0.policy.name == "p4711" }?.policy.maximum == 12)
        #expect(section.entries.last?.target == .exec(command: ["./scale", "9999"]))
    }

    @Test func `a whole section is read, beside others that are not`() throws {
        let section = try section(
            """
            server: {port: 1}
            scaling:
              poll: 15s
              keda: {listen: "127.0.0.1:9500", tls: {certificate: a, key: b, client-ca: c}}
              policies:
                orders:
                  min: 1
                  max: 40
                  conditions:
                    - queue: {destination: orders, group: workers, wait: 60s, partitions: 12}
                    - window: {cron: "0 8 * * 1-5", for: 10h, zone: Europe/Berlin, floor: 5, ceiling: 30}
                    - window: {start: 22:00, end: 6:00, ceiling: 2}
                    - resource: {name: cpu, target: 0.7}
                    - parameter: {deadline: sale.ends, floor: 20, ramp: 30m, tail: 5m}
                    - parameter: {value: expected, per-instance: 500}
                    - forecast: {season: 1d, quantile: 0.9}
                  instance: {rate: 2.5, start: 20s}
                  idle: 2m
                  down-window: 10m
                  fallback: {count: 5, after: 5m}
                  target: {local: {command: [./worker, --fast], environment: {A.b: c}, drain: 10s}}
                bulk:
                  max: 8
                  conditions:
                    - queue: {source: {http: "http://host/stats", backlog: /ready, published: /total}, drain: 5m}
                  instance: {rate: 1}
                  target: {keda: {}}
            """)
        #expect(section.entries.map(\.policy.name) == ["bulk", "orders"])
        let orders = try section.entry(named: "orders", of: "f")
        #expect(orders.policy.poll == 15)
        #expect(orders.policy.conditions.map(\.kind) == ["queue", "window", "window", "resource", "parameter", "parameter", "forecast"])
        #expect(orders.policy.promise == 60)
        #expect(orders.policy.instance == ScalingPolicy.InstanceBelief(rate: 2.5, start: 20))
        #expect((orders.policy.idle, orders.policy.downWindow) == (120, 600))
        #expect(orders.policy.fallback == ScalingPolicy.Fallback(count: 5, after: 300))
        #expect(orders.policy.columns == ["cpu", "sale.ends", "expected"])
        #expect(orders.sources.map(\.kind) == [.embedded])
        #expect(orders.sources.first?.group == "workers")
        #expect(orders.target == .local(command: ["./worker", "--fast"], environment: ["A.b": "c"], drain: .seconds(10)))
        guard case .window(let night) = orders.policy.conditions[2] else { throw SettingsError(message: "no window") }
        #expect(night.times == .daily(start: 22 * 60, end: 6 * 60))
        let bulk = try section.entry(named: "bulk", of: "f")
        #expect(bulk.policy.queues.first?.destination == "bulk")
        #expect(bulk.sources.first?.kind == .http(url: "http://host/stats", backlog: "/ready", published: "/total"))
        // Nobody but KEDA sets it.
        #expect(bulk.target == nil)
        #expect((bulk.policy.minimum, bulk.policy.poll, bulk.policy.instance.start) == (0, 15, 30))
        #expect(section.keda?.clientCA == "c")
    }

    @Test(arguments: [
        (
            "kubernetes: {deployment: web, namespace: shop}",
            ScalingTargetSettings.kubernetes(resource: "apps/v1/deployments/web", namespace: "shop", kubeconfig: nil)
        ),
        (
            "kubernetes: {resource: example.org/v1/things/web}",
            .kubernetes(resource: "example.org/v1/things/web", namespace: nil, kubeconfig: nil)
        ),
        (
            "nomad: {address: \"http://n:4646\", job: j, group: g}",
            .nomad(address: "http://n:4646", job: "j", group: "g", namespace: nil, region: nil, tokenFile: nil)
        ),
        ("swarm: {address: \"unix:///run/docker.sock\", service: s}", .swarm(address: "unix:///run/docker.sock", service: "s")),
        ("marathon: {address: \"http://m\", app: /a}", .marathon(address: "http://m", app: "/a", tokenFile: nil)),
        ("webhook: {url: \"http://w\", secret-file: f}", .webhook(url: "http://w", secretFile: "f")),
        ("exec: {command: [a, b]}", .exec(command: ["a", "b"])),
    ])
    func `every target is read`(text: String, expected: ScalingTargetSettings) throws {
        let section = try section(policy("queue: {wait: 60s}", more: "target: {\(text)}"))
        #expect(section.entries.first?.target == expected)
    }

    @Test(arguments: [
        ("queue: {wait: 60s, grupp: x}", "did you mean `scaling.policies.orders.conditions[].queue.group`?"),
        ("queeu: {wait: 60s}", "not `queeu`; did you mean `queue`?"), ("queue: {destination: x}", "needs `wait`"),
        ("queue: {wait: 60s, drain: 5m}", "has both `wait` and `drain`"), ("queue: {wait: soon}", "needs a time such as"),
        ("window: {cron: \"0 25 * * *\", for: 1h, floor: 1}", "minute, hour, day of the month"),
        ("window: {cron: \"0 8 * * *\", floor: 1}", "needs `for`"),
        ("window: {start: 08:00, end: 10:00}", "needs `floor`, `ceiling` or both"),
        ("window: {start: 08:00, end: 10:00, floor: 1, zone: Europe/Atlantis}", "Europe/Atlantis"),
        ("window: {start: 2026-11-27T08:00, end: 2026-11-26T08:00, floor: 1}", "is not behind `start`"),
        ("forecast: {season: 1d}", "needs a queue"), ("resource: {name: cpu}", "`target`"), ("parameter: {deadline: d}", "needs `floor`"),
    ])
    func `a condition that cannot be used is refused with its line and the remedy`(condition: String, says: String) {
        let error = #expect(throws: SettingsError.self) { try section(policy(condition)) }
        #expect(error?.message.contains(says) == true, "\(String(describing: error))")
        #expect(error?.message.contains(".yaml") == true)
    }

    @Test(arguments: [
        ("scaling:\n  policies:\n    a:\n      conditions: [{queue: {wait: 60s}}]\n      instance: {rate: 1}\n", "needs `max`"),
        ("scaling:\n  policies:\n    a:\n      max: 2\n      min: 3\n      instance: {rate: 1}\n", "above `max`"),
        ("scaling:\n  policies:\n    a:\n      max: 2\n      conditions: [{queue: {wait: 60s}}]\n", "needs `rate`"),
        ("scaling:\n  policies:\n    a:\n      max: 2\n      instance: {rate: 1}\n", "needs at least one of queue"),
        ("scaling:\n  poll: 5s\n", "names no policy"), ("scalling:\n  poll: 5s\n", "is `scalling` meant?"),
        ("server: {port: 1}\n", "no section `scaling`"),
        (
            "scaling:\n  pol: 5s\n  policies: {a: {max: 1, instance: {rate: 1}, conditions: [{queue: {wait: 60s}}]}}\n",
            "did you mean `scaling.poll`?"
        ),
        (
            "scaling:\n  policies: {a: {max: 1, instance: {rate: 1}, conditions: [{queue: {wait: 60s}}], target: {loca: {command: [a]}}}}\n",
            "needs one of local, kubernetes"
        ),
    ])
    func `a section that cannot be used is refused`(text: String, says: String) {
        let error = #expect(throws: SettingsError.self) { try section(text) }
        #expect(error?.message.contains(says) == true, "\(String(describing: error))")
    }

    @Test func `a password in a source is read and not shown`() throws {
        let section = try section(policy("queue: {source: \"amqp://u:pa55@h/v\", destination: orders, group: g, wait: 60s}"))
        #expect(section.entries.first?.sources.first?.kind == .broker(uri: "amqp://u:pa55@h/v"))
    }

    @Test func `a shadow is another policy, or what differs from the one beside it`() throws {
        let inline = try section(policy("queue: {wait: 60s}", more: "shadow: {max: 80, down-window: 1m}")).entries[0]
        let shadow = try #require(inline.shadow)
        #expect(shadow.name == "orders-shadow")
        #expect(shadow.maximum == 80)
        #expect(shadow.downWindow == 60)
        #expect(shadow.conditions == inline.policy.conditions)
        #expect(shadow.instance == inline.policy.instance)
        let named = """
            scaling:
              policies:
                orders: {max: 4, instance: {rate: 1}, conditions: [{queue: {destination: orders, wait: 60s}}], shadow: faster}
                faster: {max: 9, instance: {rate: 1}, conditions: [{queue: {destination: orders, wait: 10s}}]}
            """
        #expect(try section(named).entries.first { $0.policy.name == "orders" }?.shadow?.maximum == 9)
        let wrong = #expect(throws: SettingsError.self) { try section(named.replacing("shadow: faster", with: "shadow: fastr")) }
        #expect(wrong?.message.contains("did you mean `faster`?") == true)
        let other = #expect(throws: SettingsError.self) {
            try section(policy("queue: {wait: 60s}", more: "shadow: {conditions: [{queue: {destination: others, wait: 60s}}]}"))
        }
        #expect(other?.message.contains("other queues") == true)
    }

    @Test func `what the business says and for how long decisions are kept is read`() throws {
        let text = policy("queue: {wait: 60s}").replacing(
            "scaling:\n", with: "scaling:\n  keep: 2d\n  parameters: {factor: 3, sale: 2026-11-27T08:00:00Z}\n")
        let section = try section(text)
        #expect(section.keep == 2 * 86400)
        #expect(section.parameters == ["factor": 3, "sale": 1_795_766_400])
        let wrong = #expect(throws: SettingsError.self) { try self.section(text.replacing("factor: 3", with: "factor: many")) }
        #expect(wrong?.message.contains("neither a number nor a moment") == true)
    }
}

/// Moments as operators give them.
@Suite struct MomentTextTests {
    /// 2026-11-26T08:00:00Z
    private let now = 1_795_680_000.0

    @Test func `a moment, a time of day and a duration are understood in both directions`() throws {
        let zone = try #require(TimeZone(identifier: "Europe/Berlin"))
        func parse(_ text: String, _ direction: MomentText.Direction) -> Double? { MomentText.parse(text, now: now, direction, in: zone) }
        #expect(parse("2h", .future) == now + 7200)
        #expect(parse("2h", .past) == now - 7200)
        #expect(parse("-10m", .past) == now - 600)
        // It is 09:00 there.
        #expect(parse("18:00", .future) == now + 9 * 3600)
        #expect(parse("08:30", .future) == now + 23.5 * 3600)
        #expect(parse("8:30", .past) == now - 1800)
        #expect(parse("18:00", .past) == now - 15 * 3600)
        #expect(parse("2026-11-26T10:00:00Z", .future) == now + 7200)
        #expect(parse("2026-11-26T07:00:00Z", .future) == nil)
        for text in ["", "soon", "25:00", "18:60", "-2h"] { #expect(parse(text, .future) == nil) }
    }
}
