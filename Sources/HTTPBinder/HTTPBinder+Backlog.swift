internal import HTTP
internal import HTTPClient
package import Streams

extension HTTPBinder: BacklogReporting {
    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        guard let answer = try await channel.send(channel.request("GET", destination, group)), let backlog = Backlog(wire: answer) else {
            throw noAnswer
        }
        return backlog
    }

    /// Many groups by one request.
    package func backlogs(of groups: Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>] {
        var all: [DestinationGroup: Result<Backlog, BinderError>] = [:]
        for some in Self.portions(of: groups) {
            do throws(BinderError) {
                let query = some.map { ("backlog", "\($0.destination)/\($0.group)") }
                guard let answer = try await channel.send(channel.request("GET", nil, query: query)) else { throw noAnswer }
                guard let backlogs = answer["backlogs"]?.array else {
                    // A server of an earlier version, which does not know the question.
                    for one in some {
                        all[one] = await answered { () async throws(BinderError) in try await backlog(of: one.destination, group: one.group)
                        }
                    }
                    continue
                }
                for value in backlogs {
                    guard let destination = value["destination"]?.string, let group = value["group"]?.string,
                        let one = some.first(where: { $0.destination.name == destination && $0.group.name == group })
                    else { continue }
                    if let message = value["message"]?.string {
                        let isMissing = value["error"]?.string == "invalid"
                        all[one] = .failure(BinderError(isMissing ? .invalid : .unreachable, "\(channel.server): \(message)"))
                    } else {
                        all[one] = Backlog(wire: value).map { .success($0) } ?? .failure(noAnswer)
                    }
                }
            } catch {
                for one in some { all[one] = .failure(error) }
                // The others would wait for the same server.
                guard error.code == .invalid else { return all }
            }
        }
        return all
    }

    private func answered(_ body: () async throws(BinderError) -> Backlog) async -> Result<Backlog, BinderError> {
        do throws(BinderError) { return .success(try await body()) } catch { return .failure(error) }
    }

    /// Few enough for the target of one request: servers take 8 KiB.
    private static func portions(of groups: Set<DestinationGroup>) -> [[DestinationGroup]] {
        var portions: [[DestinationGroup]] = []
        var size = 0
        for group in groups {
            let length = 9 + PercentEncoding.encode("\(group)").utf8.count
            if portions.isEmpty || size + length > 4000 {
                portions.append([])
                size = 0
            }
            portions[portions.count - 1].append(group)
            size += length
        }
        return portions
    }
}
