package import HTTP
import JSON
package import Streams

/// `GET /actuator/bindings[/{name}]` shows bindings and their states, `POST /actuator/bindings/{name}` with `{"state": "STOPPED" | "STARTED" |
/// "PAUSED" | "RESUMED"}` changes one; the forms are those of Spring Cloud Stream.
package struct BindingRoutes: Sendable {
    private let bindings: Bindings

    package init(_ bindings: Bindings) { self.bindings = bindings }

    package var router: Router {
        var router = Router()
        router.add("GET", "/actuator/bindings") { _, _ in Self.answer(bindings.views) }
        router.add("GET", "/actuator/bindings/{name}") { request, values in
            let views = bindings.views.filter { $0.binding == values["name"] }
            guard !views.isEmpty else { return .error(404, "there is no binding \(values["name"] ?? "")", request) }
            return Self.answer(views)
        }
        router.add("POST", "/actuator/bindings/{name}") { request, values in await change(values["name"] ?? "", request) }
        return router
    }

    private func change(_ name: String, _ request: HTTPRequest) async -> HTTPResponse {
        let state = (try? JSONReader.read(request.body))?["state"]?.scalarText?.uppercased()
        do {
            switch state {
            case "STARTED": try bindings.start(name)
            case "STOPPED": try await bindings.stop(name)
            case "PAUSED": try bindings.pause(name)
            case "RESUMED": try bindings.resume(name)
            default:
                return .error(400, "say {\"state\": \"STOPPED\"}, or STARTED, PAUSED or RESUMED", request)
            }
            return HTTPResponse(204)
        } catch {
            return .error(error.code == .unknown ? 404 : 409, error.description, request)
        }
    }

    private static func answer(_ views: [BindingView]) -> HTTPResponse {
        HTTPResponse(text: JSONValue.array(views.map(value)).written, type: "application/json")
    }

    private static func value(_ view: BindingView) -> JSONValue {
        .object([
            JSONMember("bindingName", .string(view.binding)), JSONMember("name", .string(view.name)),
            JSONMember("group", view.group.map(JSONValue.string) ?? .null), JSONMember("pausable", .boolean(view.isPausable)),
            JSONMember("state", .string(view.state.rawValue)), JSONMember("paused", .boolean(view.state == .paused)),
            JSONMember("binderName", .string(view.binder)), JSONMember("input", .boolean(view.isInput)),
            JSONMember("extendedInfo", .object(view.waitingFor.map { [JSONMember("waitingFor", .string($0))] } ?? [])),
        ])
    }
}
