import ScalerRPC
import TestSupport
import Testing

/// Called by a foreign client: what each method answers.
@Suite(.enabled(if: ForeignClient.isInstalled, ForeignClient.whyNot), .timeLimit(.minutes(5)))
struct ScalerServerTests {
    private typealias Metric = ForeignClient.Event.Answer.Metric
    private let board = ScalerBoard(["orders": ScalerState(desired: 7, isKnown: true), "idle": ScalerState(desired: 0, isKnown: true)])

    @Test func `a count is told in both fields, with a target of one`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                let orders = ForeignClient.Request(name: "so", metadata: ["policy": "orders"], metric: "desired-instances")
                let idle = ForeignClient.Request(name: "so", metadata: ["policy": "idle"], metric: "desired-instances")
                let specification = try await client.call("GetMetricSpec", orders)
                #expect(specification.code == "OK")
                #expect(specification.answer?.metrics == [Metric(name: "desired-instances", whole: 1, real: 1)])
                #expect(
                    try await client.call("GetMetrics", orders).answer?.metrics == [Metric(name: "desired-instances", whole: 7, real: 7)])
                #expect(try await client.call("GetMetrics", idle).answer?.metrics == [Metric(name: "desired-instances", whole: 0, real: 0)])
                #expect(try await client.call("IsActive", orders).answer?.active == true)
                #expect(try await client.call("IsActive", idle).answer?.active == false)
                board.set("idle", count: 100_000)
                #expect(
                    try await client.call("GetMetrics", idle).answer?.metrics
                        == [Metric(name: "desired-instances", whole: 100_000, real: 100_000)])
            }
        }
    }

    @Test func `the trigger names the policy, else the scaled object does`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                for (request, isActive) in [
                    (ForeignClient.Request(name: "orders"), true),
                    (ForeignClient.Request(name: "idle", namespace: "shop", metadata: ["scalerAddress": "here:1", "other": ""]), false),
                    (ForeignClient.Request(name: "idle", metadata: ["a": "b", "policy": "orders"]), true),
                    (ForeignClient.Request(name: "orders", metadata: ["policy": ""]), true),
                ] {
                    let event = try await client.call("IsActive", request)
                    #expect(event.answer?.active == isActive)
                }
            }
        }
    }

    @Test func `a policy that is not there is not found, and those that are there are named`() async throws {
        let many = ScalerBoard(counts: Dictionary(uniqueKeysWithValues: (1000..<2000).map { ("policy-\($0)", 1) }))
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                for method in ["IsActive", "GetMetricSpec", "GetMetrics"] {
                    let event = try await client.call(method, ForeignClient.Request(name: "so", metadata: ["policy": "order"]))
                    #expect(event.code == "NOT_FOUND")
                    #expect(event.details == "no policy `order`; there are: idle, orders")
                }
                for method in ["StreamIsActive", "StreamMetricSpec"] {
                    let stream = try client.open(method, ForeignClient.Request(name: "nobody"))
                    #expect(try await client.end(of: stream).code == "NOT_FOUND")
                }
            }
        }
        // The list fits into what clients take.
        try await withServer(many) { server in
            try await ForeignClient.with(server.address) { client in
                let event = try await client.call("IsActive", ForeignClient.Request(name: String(repeating: "ß", count: 20_000)))
                #expect(event.code == "NOT_FOUND")
                let names = (1000..<1020).map { "policy-\($0)" }.joined(separator: ", ")
                #expect(event.details == "no policy `\(String(repeating: "ß", count: 100))…`; there are: \(names) and 980 more")
            }
        }
    }

    @Test func `before a source was read no count is told, and the metric is`() async throws {
        board.set("orders", ScalerState(desired: 3, isKnown: false))
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                let request = ForeignClient.Request(name: "orders")
                for method in ["IsActive", "GetMetrics"] {
                    let event = try await client.call(method, request)
                    #expect(event.code == "UNAVAILABLE")
                    #expect(event.details?.contains("`orders`") == true)
                }
                #expect(try await client.end(of: client.open("StreamIsActive", request)).code == "UNAVAILABLE")
                #expect(try await client.call("GetMetricSpec", request).answer?.metrics?.map(\.name) == ["desired-instances"])
                board.set("orders", count: 3)
                #expect(try await client.call("GetMetrics", request).answer?.metrics?.map(\.whole) == [3])
            }
        }
    }

    @Test(arguments: [
        ("IsActive", "ff"), ("IsActive", "0a05"), ("GetMetrics", "0a01"), ("StreamIsActive", "0affffffffffffffffff01"),
        // A name, a namespace, a key, a value and a metric that are not UTF-8.
        ("IsActive", "0a02c328"), ("GetMetricSpec", "0a016f1202c328"), ("IsActive", "0a016f1a070a02c328120178"),
        ("IsActive", "0a016f1a080a0178" + "1203e282" + "28"), ("GetMetrics", "0a030a016f1202c328"),
        // No object, and no name.
        ("GetMetrics", "1201" + "6d"), ("IsActive", ""), ("GetMetrics", "0a00"),
    ])
    func `a request that cannot be read is an invalid argument`(method: String, hex: String) async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                let request = ForeignClient.Request(hex: hex)
                let event =
                    method == "StreamIsActive"
                    ? try await client.end(of: client.open(method, request)) : try await client.call(method, request)
                #expect(event.code == "INVALID_ARGUMENT")
                #expect(event.details?.isEmpty == false)
            }
        }
    }

    @Test func `a name with a NUL is another name`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                // "orders" and NUL.
                let event = try await client.call("IsActive", ForeignClient.Request(hex: "0a076f7264657273" + "00"))
                #expect(event.code == "NOT_FOUND")
            }
        }
    }

    @Test func `what has fields of later versions is read all the same`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                // Unknown fields 15 and 100 around the name.
                let event = try await client.call("IsActive", ForeignClient.Request(hex: "7a0178" + "0a066f7264657273" + "a20602abcd"))
                #expect(event.answer?.active == true)
            }
        }
    }

    @Test func `a method that is not there is unimplemented`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                for method in ["Other", "", "../IsActive"] {
                    let event = try await client.call(method, ForeignClient.Request(name: "orders"))
                    #expect(event.code == "UNIMPLEMENTED")
                }
                #expect(try await client.call("IsActive", ForeignClient.Request(name: "orders")).code == "OK")
            }
        }
    }

    @Test func `a message above 64 KiB is refused, one of 64 KiB is read`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                #expect(try await client.call("IsActive", ForeignClient.Request(size: 65_536)).code == "NOT_FOUND")
                for size in [65_537, 5_000_000] {
                    let event = try await client.call("IsActive", ForeignClient.Request(size: size))
                    #expect(event.code == "RESOURCE_EXHAUSTED")
                    let stream = try client.open("StreamIsActive", ForeignClient.Request(size: size))
                    #expect(try await client.end(of: stream).code == "RESOURCE_EXHAUSTED")
                }
                #expect(try await client.call("IsActive", ForeignClient.Request(name: "orders")).answer?.active == true)
            }
        }
    }

    @Test func `a request that unpacks to much more is refused as it is`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                // 20 MB of one letter, which travel as some 20 KB.
                let event = try await client.call("IsActive", ForeignClient.Request(size: 20_000_000), isCompressed: true)
                #expect(event.code == "UNIMPLEMENTED")
                #expect(event.details?.contains("gzip") == true)
                #expect(try await client.call("IsActive", ForeignClient.Request(name: "orders")).answer?.active == true)
            }
        }
    }

    @Test func `metadata above the bound is refused`() async throws {
        try await withServer(board) { server in
            try await ForeignClient.with(server.address) { client in
                let event = try await client.call("IsActive", ForeignClient.Request(name: "orders", header: 20_000))
                #expect(event.code == "RESOURCE_EXHAUSTED")
                #expect(try await client.call("IsActive", ForeignClient.Request(name: "orders", header: 8000)).answer?.active == true)
            }
        }
    }
}
