import HTTP
import Lifecycle
import Streams

extension Channels {
    func backlog(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        let backlog: Backlog
        do { backlog = try await reporting().backlog(of: destination, group: group) } catch let error as BinderError {
            throw ChannelError(unknown: error)
        }
        return .json(200, .object(backlog.wireMembers))
    }

    /// `{"backlogs": [{"destination", "group", …}]}`: numbers, or `error` and `message` where they are not to be had.
    func backlogs(_ request: HTTPRequest) async throws -> HTTPResponse {
        var asked: Set<DestinationGroup> = []
        for (name, value) in request.parameters where name == "backlog" {
            let parts = value.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                throw ChannelError(400, "invalid", "backlog=\(value.prefix(80)) must be a destination, `/` and a group")
            }
            asked.insert(DestinationGroup(try Destination(String(parts[0])), try ConsumerGroup(String(parts[1]))))
        }
        let answers = try await reporting().backlogs(of: asked)
        let backlogs = answers.map { group, answer -> WireValue in
            let names = [
                WireValue.Member("destination", .string(group.destination.name)), WireValue.Member("group", .string(group.group.name)),
            ]
            switch answer {
            case .success(let backlog): return .object(names + backlog.wireMembers)
            case .failure(let error):
                return .object(names + [.init("error", .string(error.code.description)), .init("message", .string(error.message))])
            }
        }
        return .json(200, .object([.init("backlogs", .array(backlogs))]))
    }

    private func reporting() throws -> any BacklogReporting {
        guard let reporting = binder as? any BacklogReporting else {
            throw ChannelError(501, "unsupported", "\(binder.name) does not tell the backlog of a group here")
        }
        return reporting
    }
}
