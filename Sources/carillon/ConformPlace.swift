import BinderConformance
import Binders
import Foundation
import Streams
import Telemetry

extension BinderURI {
    /// A payload over this many bytes is refused by the binder that is tried out.
    var largestPayload: Int { 1 << 20 }

    /// How long its impatient binders take.
    var times: BenchTimes {
        switch scheme {
        case "http": BenchTimes(detection: .seconds(24))
        case "redis": BenchTimes(claim: .seconds(4))
        case "amqp": BenchTimes(idle: .seconds(7))
        case "kafka":
            BenchTimes(
                patience: .seconds(60), detection: .seconds(10), publishLimit: .seconds(8), claim: .seconds(10), destinations: 100,
                members: 12)
        default: BenchTimes()
        }
    }
}

/// The broker that is tried out, and what can be done to the connections to it.
struct ConformPlace: Sendable {
    private let uri: BinderURI
    private let token: String?
    private let authorityFile: String?
    /// Where the embedded broker keeps what the cases leave; nil for others, and in memory.
    private let folder: URL?

    init(_ uri: BinderURI, token: String?, authorityFile: String?) throws {
        self.token = token
        self.authorityFile = authorityFile
        // In a folder of its own within the one that is named: events that are there already are not ours.
        if let path = uri.folder {
            let folder = URL(fileURLWithPath: path).appendingPathComponent("conform-\(Identifier.random().prefix(8))")
            self.folder = folder
            self.uri = try BinderURI("local:\(folder.path)/broker")
        } else {
            self.folder = nil
            self.uri = uri
        }
    }

    func cleanUp() { if let folder { try? FileManager.default.removeItem(at: folder) } }

    /// With new binders.
    func bench(isWide: Bool = false) throws -> BinderBench {
        try bench(binder: usual(isWide: isWide), peer: uri.isEmbedded ? nil : usual(isWide: isWide), isWide: isWide)
    }

    /// Whether members of a group share by partitions, so that cases that look at several of them need wide destinations.
    var sharesByPartitions: Bool { uri.scheme == "kafka" }

    /// For one case.
    func bench(binder: any Binder, peer: (any Binder)?, isWide: Bool) throws -> BinderBench {
        var variants = BinderVariants()
        var control = BrokerControl()
        var lacking: BinderCapabilities = []
        if uri.isEmbedded {
            variants.bounded = { _, _, limit in try another { $0.backlog = limit } }
            control.block = { destination in
                await withTaskGroup(of: Void.self) { tasks in
                    for _ in 0..<100 {
                        tasks.addTask { while (try? await binder.publish(Envelope(text: "more"), to: destination)) != nil {} }
                    }
                }
            }
            control.unblock = { _ in }  // a consumer has made room
        } else {
            // How much a group may have is set by whoever runs the broker.
            lacking.insert(.bounded)
            if !uri.hasPassword && token == nil { lacking.insert(.credentials) }
            variants.proxied = { try proxied(isWide: isWide) { _ in } }
            variants.refused = { try proxied { $0.password = BinderVariants.wrongPassword } }
            variants.partitioned = { destination, count in try usual { $0.partitions[destination.name] = count } }
            variants.mandatory = { try usual { $0.isMandatory = true } }
            variants.disagreeing = { try await disagreeing() }
        }
        return BinderBench(
            binder: binder, peer: peer, oversized: uri.largestPayload + 1, times: uri.times, variants: variants, control: control,
            lacking: lacking, fresh: { try another() })
    }

    private func usual(isWide: Bool = false, _ change: (inout BinderTuning) -> Void = { _ in }) throws -> any Binder {
        var tuning = BinderTuning()
        if isWide { tuning.defaultPartitions = 4 }
        tuning.isImpatient = true
        tuning.largestPayload = uri.largestPayload
        tuning.backlog = 6000  // few enough to be filled up, where there is a bound
        change(&tuning)
        return try uri.binder(name: "carillon conform", token: token, authorityFile: authorityFile, tuning: tuning, log: .silent)
    }

    /// On the same broker, or one of its own where there is one in each binder.
    private func another(_ change: (inout BinderTuning) -> Void = { _ in }) throws -> any Binder {
        guard let folder else { return try usual(isWide: false, change) }
        var tuning = BinderTuning()
        change(&tuning)
        return try BinderURI("local:\(folder.path)/\(Identifier.random())").binder(tuning: tuning, log: .silent)
    }

    private func proxied(isWide: Bool = false, _ change: (inout BinderTuning) -> Void) throws -> ProxiedBinder {
        let proxy = try FaultProxy()
        let binder = try usual(isWide: isWide) { tuning in
            tuning.route = { address in
                BinderTuning.Address(
                    host: "127.0.0.1", port: try proxy.port(to: BrokerAddress(host: address.host, port: address.port)))
            }
            change(&tuning)
        }
        return ProxiedBinder(binder: binder, proxy: proxy)
    }

    /// RabbitMQ: the exchange of the dead letters is a direct one; as that of a destination it would be a topic.
    private func disagreeing() async throws -> (binder: any Binder, destination: Destination, words: [String]) {
        let prefix = "case-\(Identifier.random().prefix(8))."
        let (destination, group) = (try Destination("d"), try ConsumerGroup("g"))
        let first = try usual { $0.prefix = prefix }
        try await BinderBench.withRunning(first) {
            try await first.prepare(group: group, of: destination)
            if let remover = first as? any DestinationRemoving { try await remover.remove(destination) }
        }
        return (try usual { $0.prefix = prefix }, try Destination("DLX"), ["'topic'", "'direct'"])
    }
}
