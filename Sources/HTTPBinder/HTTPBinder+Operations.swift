internal import HTTPClient
package import Streams

extension HTTPBinder: BacklogReporting, PositionTelling {
    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        guard let answer = try await channel.send(channel.request("GET", destination, group)) else { throw noAnswer }
        func number(_ name: String) -> Int? { answer[name]?.integer.map { Int($0) } }
        guard let ready = number("ready") else { throw noAnswer }
        var age: Duration?
        switch answer["oldestAge"] {
        case .double(let seconds): age = .milliseconds(Int64(seconds * 1000))
        case .integer(let seconds): age = .seconds(seconds)
        default: break
        }
        return Backlog(
            ready: ready, inHand: number("inHand"), delayed: number("delayed"), dead: number("dead"), members: number("members"),
            oldestAge: age)
    }

    package func latestPosition(of destination: Destination) async throws(BinderError) -> String? {
        do throws(BinderError) {
            return try await channel.send(channel.request("GET", destination, nil, "position"))?["position"]?.string
        } catch {
            if error.code == .unsupported { return nil }  // its broker has no positions
            throw error
        }
    }

    var noAnswer: BinderError { BinderError(.broken, "\(channel.server) answered without what was asked for") }
}
