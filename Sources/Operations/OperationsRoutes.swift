package import HTTP
package import Streams
package import Telemetry

/// What an operator and an orchestrator ask: liveness, readiness, metrics. None of them touches a repository.
package struct OperationsRoutes: Sendable {
    /// Something that must be in order before the process counts as ready.
    package struct Check: Sendable {
        let name: String
        /// Nil when it is in order, else why not.
        let problem: @Sendable () async -> String?
        package init(_ name: String, _ problem: @escaping @Sendable () async -> String?) {
            self.name = name
            self.problem = problem
        }
    }

    private let checks: [Check]
    private let metrics: Metrics

    package init(checks: [Check], metrics: Metrics) {
        self.checks = checks
        self.metrics = metrics
    }

    /// Adds `/health/live`, `/health/ready`, `/metrics`, and `/health` and `/actuator/health` in the shape that Spring's clients know.
    package func add(to router: inout Router) {
        router.add("GET", "/health/live") { _, _ in HTTPResponse(text: #"{"status":"UP"}"#, type: "application/json") }
        for path in ["/health/ready", "/health", "/actuator/health"] {
            router.add("GET", path) { _, _ in await readiness() }
        }
        router.add("GET", "/metrics") { _, _ in HTTPResponse(text: metrics.prometheusText, type: "text/plain; version=0.0.4; charset=utf-8")
        }
    }

    /// 200 when every check is in order, else 503 with what is not.
    private func readiness() async -> HTTPResponse {
        var text = ""
        var ready = true
        for check in checks {
            let problem = await check.problem()
            if problem != nil { ready = false }
            text += text.isEmpty ? "" : ","
            JSONText.append(check.name, to: &text)
            text += #":{"status":"\#(problem == nil ? "UP" : "DOWN")""#
            if let problem {
                text += #","reason":"#
                JSONText.append(problem, to: &text)
            }
            text += "}"
        }
        return HTTPResponse(
            ready ? 200 : 503, text: #"{"status":"\#(ready ? "UP" : "DOWN")","components":{\#(text)}}"#, type: "application/json",
            headers: ready ? [:] : ["Retry-After": "1"])
    }
}

extension Readiness {
    /// Why not, for people.
    package var problem: String? {
        switch self {
        case .ready: nil
        case .waiting(let reason): reason
        }
    }
}
