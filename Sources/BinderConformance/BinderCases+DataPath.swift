internal import Streams

extension BinderCases {
    package static let dataPath: [BinderCase] = [
        BinderCase("A1", "payloads arrive byte by byte as they were sent") { bench in
            let destination = try bench.destination()
            var payloads: [[UInt8]] = [
                [], [7], Array(0...255), Array(repeating: 0xA5, count: 1024), Array(repeating: 0x5A, count: 900_000),
            ]
            for index in 0..<95 { payloads.append(Array("payload \(index)".utf8)) }
            let sent = payloads.map { Envelope(payload: $0, contentType: "application/octet-stream") }
            let seen = try await bench.withMembers(of: destination, group: try bench.group()) { collector in
                for envelope in sent {
                    let receipt = try await bench.binder.publish(envelope, to: destination)
                    try demandEqual(receipt.id, envelope.id, "the receipt's id")
                }
                try await eventually(within: bench.patience, "100 deliveries") { collector.count == 100 }
                return collector.all
            }
            try demandEqual(seen.map(\.envelope.payload), payloads, "payloads")
            try demandEqual(seen.map(\.envelope.id), sent.map(\.id), "ids")
            try demandEqual(Set(seen.map(\.envelope.contentType)), ["application/octet-stream"], "content types")
        },
        BinderCase("A2", "headers keep their names, case and values, and none is added") { bench in
            let destination = try bench.destination()
            var headers: [String: HeaderValue] = [
                "plain": "value", "empty": "", "Ünicode-Wert": "grüße 日本 🔔", "quoted": "\"in quotes\"", "with-dash_under.dot": "x",
                "UPPER": "Case", "number": 42, "negative": -7, "yes": true, "ratio": .double(0.5), "big": .integer(1 << 40),
                "long": .string(String(repeating: "l", count: 8192)),
            ]
            for index in 0..<100 { headers["header-\(index)"] = .string("\(index)") }
            if bench.binder.capabilities.contains(.binaryHeaders) { headers["bytes"] = .bytes([0, 1, 2, 255]) }
            let sent = Envelope(payload: [1], contentType: "text/plain", headers: headers, key: "the key")
            let seen = try await bench.withMembers(of: destination, group: nil) { collector in
                _ = try await bench.binder.publish(sent, to: destination)
                try await eventually(within: bench.patience, "the delivery") { collector.count == 1 }
                return collector.all[0]
            }
            for (name, value) in headers { try demandEqual(seen.envelope.headers[name], value, "header \(name)") }
            let added = Set(seen.envelope.headers.keys).subtracting(headers.keys)
            try demand(added.isEmpty, "headers were added: \(added.sorted())")
            try demandEqual(seen.envelope.key, "the key", "key")
        },
        BinderCase("A3", "an envelope without a content type arrives with none or the default") { bench in
            let destination = try bench.destination()
            let seen = try await bench.withMembers(of: destination, group: nil) { collector in
                _ = try await bench.binder.publish(Envelope(payload: Array("x".utf8)), to: destination)
                try await eventually(within: bench.patience, "the delivery") { collector.count == 1 }
                return collector.all[0]
            }
            try demandEqual(seen.text, "x", "payload")
            let allowed: [String?] = [nil, "application/json", "application/octet-stream"]
            try demand(allowed.contains(seen.envelope.contentType), "content type \(seen.envelope.contentType ?? "") came from nowhere")
        },
        BinderCase("A4", "destinations and groups may have names beyond ASCII, or are refused as invalid") { bench in
            let destination = try bench.destination("größe-日本")
            do {
                let seen = try await bench.withMembers(of: destination, group: try bench.group("gruppe-ü")) { collector in
                    try await bench.send(["x"], to: destination)
                    try await eventually(within: bench.patience, "the delivery") { collector.count == 1 }
                    return collector.texts
                }
                try demandEqual(seen, ["x"], "texts")
            } catch let error as BinderError { try demandEqual(error.code, .invalid, "the refusal") }
        },
        BinderCase("A5", "an event over the broker's limit is refused, and the next one goes through") { bench in
            let oversized = try bench.demandOversized()
            let destination = try bench.destination()
            let seen = try await bench.withMembers(of: destination, group: try bench.group()) { collector in
                do {
                    _ = try await bench.binder.publish(Envelope(payload: Array(repeating: 0x5A, count: oversized)), to: destination)
                    throw CaseFailed(description: "an event of \(oversized) bytes was taken")
                } catch let error as BinderError { try demandEqual(error.code, .tooLarge, "the refusal") }
                try await bench.send(["after"], to: destination)
                try await eventually(within: bench.patience, "the delivery") { collector.count == 1 }
                return collector.texts
            }
            try demandEqual(seen, ["after"], "texts")
        },
        BinderCase("A6", "of fifty publishers and very many members none of 5,000 events is lost", isAlone: true) { bench in
            let destination = try bench.destination()
            let seen = try await bench.withMembers(bench.times.members, of: destination, group: try bench.group()) { collector in
                try await withThrowingTaskGroup(of: Void.self) { publishers in
                    for publisher in 0..<50 {
                        publishers.addTask {
                            try await bench.send(
                                texts(100, "\(publisher)-"), to: destination, by: publisher.isMultiple(of: 2) ? bench.binder : bench.peer)
                        }
                    }
                    try await publishers.waitForAll()
                }
                try await eventually(within: bench.patience, "5,000 deliveries") { Set(collector.texts).count == 5000 }
                return collector.texts
            }
            try demandEqual(seen.count, 5000, "deliveries")
        },
        BinderCase("A7", "twenty destinations do not leak into each other") { bench in
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for index in 0..<20 {
                    tasks.addTask {
                        let destination = try bench.destination("d\(index)")
                        try await bench.withMembers(of: destination, group: try bench.group()) { collector in
                            try await bench.send(texts(10, "\(index)-"), to: destination)
                            try await eventually(within: bench.patience, "10 deliveries of \(destination)") { collector.count >= 10 }
                            try demandEqual(collector.texts, texts(10, "\(index)-"), "texts of \(destination)")
                        }
                    }
                }
                try await tasks.waitForAll()
            }
        },
        BinderCase("A8", "an empty payload with a key and headers arrives") { bench in
            let destination = try bench.destination()
            let seen = try await bench.withMembers(of: destination, group: try bench.group()) { collector in
                _ = try await bench.binder.publish(Envelope(payload: [], headers: ["gone": true], key: "k"), to: destination)
                try await eventually(within: bench.patience, "the delivery") { collector.count == 1 }
                return collector.all[0]
            }
            try demandEqual(seen.envelope.payload, [], "payload")
            try demandEqual(seen.envelope.key, "k", "key")
            try demandEqual(seen.envelope.headers["gone"], true, "header")
        },
        BinderCase("A9", "of many events published at once only the one that cannot be taken fails") { bench in
            let oversized = try bench.demandOversized()
            let destination = try bench.destination()
            let failed = try await bench.withMembers(of: destination, group: try bench.group()) { collector in
                let failed = await withTaskGroup(of: Int?.self) { publishers in
                    for index in 0..<10 {
                        publishers.addTask {
                            let payload = index == 4 ? Array(repeating: UInt8(0x5A), count: oversized) : Array("\(index)".utf8)
                            do {
                                _ = try await bench.binder.publish(Envelope(payload: payload), to: destination)
                                return nil
                            } catch { return index }
                        }
                    }
                    return await publishers.reduce(into: [Int]()) { if let index = $1 { $0.append(index) } }
                }
                try await eventually(within: bench.patience, "9 deliveries") { collector.count == 9 }
                return failed
            }
            try demandEqual(failed, [4], "failed events")
        },
    ]
}
