import Lifecycle

/// KEDA's external scaler: what each call is answered from the view of the policies.
struct ExternalScaler: Sendable {
    enum Method: String, Sendable {
        case isActive = "IsActive"
        case streamIsActive = "StreamIsActive"
        case metricSpecification = "GetMetricSpec"
        case metrics = "GetMetrics"
        case streamMetricSpecification = "StreamMetricSpec"

        /// From the path of a call.
        init?(path: String) {
            let service = "/externalscaler.ExternalScaler/"
            guard path.hasPrefix(service) else { return nil }
            self.init(rawValue: String(path.dropFirst(service.count)))
        }

        var isStream: Bool { self == .streamIsActive || self == .streamMetricSpecification }
    }

    /// Names told to those who asked for another one; a status has to fit into a client's bound of metadata.
    private static let told = 20
    let view: any ScalerView

    /// The answer to a call that has one.
    func answer(_ method: Method, _ request: [UInt8]) async throws(RPCStatus) -> [UInt8] {
        switch method {
        case .metrics:
            let state = try await known(try ScaledObject(metricsRequest: request))
            return ScalerAnswer.value(state.desired, metric: state.metric)
        case .metricSpecification, .streamMetricSpecification:
            // Told before any count is known: without it KEDA would make an HPA that lacks the metric, and its fallback could not act on it.
            return ScalerAnswer.specification(metric: try await state(try ScaledObject(request)).metric)
        case .isActive, .streamIsActive:
            return ScalerAnswer.isActive(try await known(try ScaledObject(request)).isActive)
        }
    }

    /// Hands `send` the answer now, and each one that differs from the last, until `end` is asked for, the policy is gone or the client leaves.
    func stream(
        _ method: Method, _ request: [UInt8], until end: ShutdownSignal, _ send: @escaping @Sendable ([UInt8]) async -> Bool
    ) async throws(RPCStatus) {
        let object = try ScaledObject(request)
        guard let states = await view.states(of: object.policy) else { throw await missing(object.policy) }
        let failure = await withTaskGroup(of: RPCStatus.self) { group in
            group.addTask {
                await end.wait()
                return .ending
            }
            group.addTask {
                var last: [UInt8]?
                for await state in states {
                    if method == .streamIsActive, !state.isKnown { return Self.unread(object.policy) }
                    let answer =
                        method == .streamIsActive ? ScalerAnswer.isActive(state.isActive) : ScalerAnswer.specification(metric: state.metric)
                    guard answer != last else { continue }
                    last = answer
                    guard await send(answer) else { return .left }
                }
                return Task.isCancelled ? .left : await missing(object.policy)
            }
            let first = await group.next() ?? .left
            group.cancelAll()
            return first
        }
        throw failure
    }

    private func state(_ object: ScaledObject) async throws(RPCStatus) -> ScalerState {
        guard let state = await view.state(of: object.policy) else { throw await missing(object.policy) }
        return state
    }

    private func known(_ object: ScaledObject) async throws(RPCStatus) -> ScalerState {
        let state = try await state(object)
        guard state.isKnown else { throw Self.unread(object.policy) }
        return state
    }

    private static func unread(_ policy: String) -> RPCStatus {
        RPCStatus(.unavailable, "no source of `\(short(policy))` has been read since carillon started: no count is known")
    }

    private func missing(_ policy: String) async -> RPCStatus {
        let names = await view.policies
        let told = names.prefix(Self.told).map(Self.short).joined(separator: ", ")
        let rest = names.count > Self.told ? " and \(names.count - Self.told) more" : ""
        return RPCStatus(.notFound, "no policy `\(Self.short(policy))`; " + (names.isEmpty ? "there is none" : "there are: \(told)\(rest)"))
    }

    private static func short(_ name: String) -> String { name.count > 100 ? name.prefix(100) + "…" : name }
}
