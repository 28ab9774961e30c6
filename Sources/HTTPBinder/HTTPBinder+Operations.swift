package import Streams

extension HTTPBinder: PositionTelling {
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
