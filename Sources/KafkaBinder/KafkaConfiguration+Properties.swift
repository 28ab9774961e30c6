import Streams

extension KafkaConfiguration {
    /// What every client is given.
    private var common: [(String, String)] {
        var all = [
            ("bootstrap.servers", addresses.map(\.description).joined(separator: ",")), ("client.id", clientID),
            ("socket.timeout.ms", text(requestLimit)), ("socket.keepalive.enable", "true"), ("socket.nagle.disable", "true"),
            ("reconnect.backoff.ms", text(backOff)), ("reconnect.backoff.max.ms", text(max(backOff, longestBackOff))),
            ("topic.metadata.refresh.interval.ms", text(metadataInterval)), ("topic.metadata.refresh.fast.interval.ms", "50"),
            ("security.protocol", (sasl == nil ? "" : "sasl_") + (tls == nil ? "plaintext" : "ssl")),
        ]
        if let sasl {
            all += [("sasl.mechanism", sasl.mechanism.rawValue), ("sasl.username", sasl.user), ("sasl.password", sasl.password)]
        }
        if let tls {
            all.append(("ssl.endpoint.identification.algorithm", tls.verifiesPeer ? "https" : "none"))
            all.append(("enable.ssl.certificate.verification", tls.verifiesPeer ? "true" : "false"))
            if let authorities = tls.authorities { all.append(("ssl.ca.location", authorities)) }
            if let certificate = tls.certificate { all.append(("ssl.certificate.location", certificate)) }
            if let key = tls.key { all.append(("ssl.key.location", key)) }
            if let password = tls.keyPassword { all.append(("ssl.key.password", password)) }
        }
        return all
    }

    private var more: [(String, String)] { properties.sorted { $0.key < $1.key } }

    /// Nothing is confirmed before all replicas that keep up have it, and nothing is written twice by a second attempt.
    var producer: [(String, String)] {
        common + [
            ("enable.idempotence", "true"), ("acks", "all"), ("message.timeout.ms", text(publishLimit)),
            ("request.timeout.ms", text(requestLimit)), ("linger.ms", "\(Double(linger.nanoseconds) / 1e6)"),
            ("compression.type", compression),
            ("queue.buffering.max.messages", "\(inFlight)"), ("queue.buffering.max.kbytes", "\(max(1, sendBuffer >> 10))"),
            ("message.max.bytes", "\(min(1_000_000_000, largestPayload + 65_536))"),
            // Java's default: publishers of other makes send an event of the same key to the same partition.
            ("partitioner", "murmur2_random"),
            // A topic is looked for before the first publish to it. One that is gone later is given up soon, and made again by the next publish.
            ("topic.metadata.propagation.max.ms", "1000"),
        ] + more
    }

    /// For questions about topics and groups. It never joins the group that it names: without one, librdkafka 2.0.2 follows a null pointer when
    /// a broker answers to a question for offsets that it is not the coordinator.
    var inspector: [(String, String)] { common + [("allow.auto.create.topics", "false"), ("group.id", KafkaNames.nobody)] + more }

    func consumer(group: String) -> [(String, String)] {
        common + [
            ("group.id", group), ("allow.auto.create.topics", "false"), ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"), ("partition.assignment.strategy", cooperative ? "cooperative-sticky" : "range,roundrobin"),
            ("session.timeout.ms", text(sessionLimit)), ("heartbeat.interval.ms", text(heartbeat)),
            ("max.poll.interval.ms", text(max(.seconds(300), sessionLimit))), ("enable.partition.eof", "false"),
            ("queued.max.messages.kbytes", "\(max(1, fetchBuffer >> 10))"), ("queued.min.messages", "100000"),
            ("fetch.error.backoff.ms", "100"), ("coordinator.query.interval.ms", "10000"), ("check.crcs", "true"),
        ] + more
    }

    private func text(_ duration: Duration) -> String { "\(max(1, duration.milliseconds))" }
}

extension Duration {
    /// Whole nanoseconds, never negative.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return seconds < 0 ? 0 : UInt64(seconds) * 1_000_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000
    }

    var milliseconds: Int { Int(nanoseconds / 1_000_000) }
}
