package import Bus
package import HTTP
import JSON
import Streams

/// The HTTP routes of the bus, in the paths of all three generations of Spring Cloud Bus. Whichever instance takes a request publishes it to all.
///
/// | request | answer |
/// |---|---|
/// | `POST /actuator/busrefresh[/{destination…}]`, `/actuator/bus-refresh[/{destination}]` | 204 |
/// | `POST /actuator/busenv[/{destination…}]`, `/actuator/bus-env[/{destination}]` with `{"name", "value"}` | 204 |
/// | `POST /bus/refresh?destination=`, `/bus/env?key=value&destination=` | 200 |
/// | `GET /bus/matches?destination=` | which known instances a destination is for |
///
/// An answer of success comes after the broker's confirm and names the event in `X-Carillon-Event`. The body of a refresh is ignored whatever it
/// is, so that webhooks of Git servers can be pointed here; the original refuses most of them.
package struct BusRoutes: Sendable {
    /// Names the event that a request has published.
    package static let eventField = "X-Carillon-Event"

    private let bus: EventBus
    private let details: @Sendable (String?) async -> RefreshDetails
    private let knownIDs: @Sendable () -> [String]
    private let limit: Duration

    /// `details` tells the version that is served now, for the headers of a refresh with that destination. `knownIDs` are the bus ids that
    /// `/bus/matches` looks through. A broker that has not confirmed within `limit` counts as away.
    package init(
        bus: EventBus, limit: Duration = .seconds(10), knownIDs: @escaping @Sendable () -> [String] = { [] },
        details: @escaping @Sendable (String?) async -> RefreshDetails = { _ in RefreshDetails() }
    ) {
        self.bus = bus
        self.limit = limit
        self.knownIDs = knownIDs
        self.details = details
    }

    package var router: Router {
        var router = Router()
        for path in ["/actuator/busrefresh", "/actuator/bus-refresh"] {
            router.add("POST", path) { request, _ in await refresh(request, destination: nil, success: 204) }
            router.add("POST", path + "/{destination…}") { request, _ in
                await refresh(request, destination: DestinationPattern.from(segments: request.path.dropFirst(2)), success: 204)
            }
        }
        for path in ["/actuator/busenv", "/actuator/bus-env"] {
            router.add("POST", path) { request, _ in await environment(request, destination: nil) }
            router.add("POST", path + "/{destination…}") { request, _ in
                await environment(request, destination: DestinationPattern.from(segments: request.path.dropFirst(2)))
            }
        }
        router.add("POST", "/bus/refresh") { request, _ in
            await refresh(request, destination: Self.parameters(request).first { $0.name == "destination" }?.value, success: 200)
        }
        router.add("POST", "/bus/env") { request, _ in await environmentByParameters(request) }
        router.add("GET", "/bus/matches") { request, _ in matches(request.parameter("destination")) }
        return router
    }

    private func refresh(_ request: HTTPRequest, destination: String?, success: Int) async -> HTTPResponse {
        let details = await details(destination)
        return await answer(request, success) { () async throws(BinderError) in try await bus.refresh(destination, details: details) }
    }

    private func environment(_ request: HTTPRequest, destination: String?) async -> HTTPResponse {
        guard let type = request.headers["Content-Type"], Self.isJSON(type) else {
            return .error(
                415, "an environment change needs a body {\"name\":…,\"value\":…} with Content-Type: application/json", request,
                headers: [
                    "Accept": "application/vnd.spring-boot.actuator.v3+json, application/vnd.spring-boot.actuator.v2+json, application/json"
                ])
        }
        guard let body = try? JSONReader.read(request.body), let name = body["name"]?.scalarText, let value = body["value"]?.scalarText
        else {
            return .error(400, "an environment change needs a body {\"name\":…,\"value\":…}, both text", request)
        }
        return await answer(request, 204) { () async throws(BinderError) in
            try await bus.changeEnvironment([EnvironmentValue(name: name, value: value)], destination)
        }
    }

    private func environmentByParameters(_ request: HTTPRequest) async -> HTTPResponse {
        let parameters = Self.parameters(request)
        var values: [EnvironmentValue] = []
        for parameter in parameters where parameter.name != "destination" && !values.contains(where: { $0.name == parameter.name }) {
            values.append(EnvironmentValue(name: parameter.name, value: parameter.value))
        }
        guard !values.isEmpty else { return .error(400, "there is no property to set: say /bus/env?key=value", request) }
        let destination = parameters.first { $0.name == "destination" }?.value
        let all = values
        return await answer(request, 200) { () async throws(BinderError) in try await bus.changeEnvironment(all, destination) }
    }

    private func answer(
        _ request: HTTPRequest, _ success: Int, _ publish: @escaping @Sendable () async throws(BinderError) -> String
    ) async -> HTTPResponse {
        // A broker that is known to be away gets a short chance to come back; then the caller had better hear of it.
        let away = bus.brokerReadiness
        let limit = away.isReady ? limit : min(limit, .seconds(2))
        let result = await withTaskGroup(of: Result<String, BinderError>?.self) { group in
            group.addTask {
                do throws(BinderError) { return .success(try await publish()) } catch { return .failure(error) }
            }
            group.addTask {
                try? await Task.sleep(for: limit)  // the limit itself: cancelled when the broker answers before
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            // What was confirmed in the last moment counts.
            if first == nil, let last = await group.next() ?? nil, case .success = last { return last as Result<String, BinderError>? }
            return first
        }
        switch result {
        case .success(let id): return HTTPResponse(success, headers: [Self.eventField: id])
        case .failure(let error) where !error.isRetriable && error.code != .cancelled && error.code != .closed:
            return .error(500, "the event was not published: \(error.message)", request)
        case .failure(let error):
            return Self.unavailable(request, error.message, mayHaveArrived: error.code == .timedOut || error.code == .cancelled)
        case nil:
            if case .waiting(let reason) = away {
                return Self.unavailable(request, "the broker is away: \(reason)", mayHaveArrived: true)
            }
            return Self.unavailable(request, "the broker did not confirm within \(limit)", mayHaveArrived: true)
        }
    }

    private static func unavailable(_ request: HTTPRequest, _ why: String, mayHaveArrived: Bool) -> HTTPResponse {
        let what = mayHaveArrived ? "the event may or may not have been published" : "the event was not published, and nothing has changed"
        return .error(503, "\(what): \(why); try again", request, headers: ["Retry-After": "5"])
    }

    private func matches(_ destination: String?) -> HTTPResponse {
        let normalised = DestinationPattern.normalised(destination)
        var ids = Set(knownIDs())
        ids.insert(bus.id.text)
        let known = ids.sorted()
        let matched = known.filter { DestinationPattern.isFor(normalised, id: $0) || $0 == bus.id.text && bus.isAddressed(by: normalised) }
        var members = [
            JSONMember("destination", .string(normalised)), JSONMember("matches", .array(matched.map(JSONValue.string))),
            JSONMember("known", .number(String(known.count))),
        ]
        if matched.isEmpty, let hint = Self.hint(normalised, known) { members.append(JSONMember("hint", .string(hint))) }
        return HTTPResponse(text: JSONValue.object(members).written + "\n", type: "application/json")
    }

    /// The surprise of bus ids: `orders:8081` stops matching once a profile is active, since that stands before the port.
    private static func hint(_ destination: String, _ known: [String]) -> String? {
        let parts = destination.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let other = "\(parts[0]):*:\(parts[1])"
        let hits = known.count { DestinationPattern.isFor(other, id: $0) }
        return hits == 0 ? nil : "\(other) would match \(hits): instances with active profiles have them before the port"
    }

    /// Parameters of the query, then those of a form body, as a servlet sees them.
    private static func parameters(_ request: HTTPRequest) -> [(name: String, value: String)] {
        let type = request.headers["Content-Type"]?.prefix { $0 != ";" }.lowercased()
        guard type == "application/x-www-form-urlencoded", let body = String(validating: request.body, as: UTF8.self) else {
            return request.parameters
        }
        return request.parameters + FormURLEncoding.decode(body)
    }

    private static func isJSON(_ type: String) -> Bool {
        let media = type.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
        return media == "application/json" || media.hasPrefix("application/") && media.hasSuffix("+json")
    }
}
