internal import Autoscaler
internal import Binders
internal import HTTPClient
internal import ScalingFormats
internal import Settings
internal import Streams

/// Which place is asked for which condition.
struct SourcePlan {
    typealias Wanted<Queue> = [(key: QueueKey, queue: Queue)]

    private(set) var embedded: Wanted<DestinationGroup> = []
    /// By URI.
    private(set) var brokers: [String: Wanted<DestinationGroup>] = [:]
    /// How many partitions the destinations of a broker have, where policies tell; by URI and destination.
    private(set) var partitions: [String: [String: Int]] = [:]
    /// By URL.
    private(set) var pages: [String: Wanted<PageSource.Queue>] = [:]
    private(set) var prometheus: [String: Wanted<PrometheusSource.Queue>] = [:]
    private let ownURI: String

    init(ownURI: String) { self.ownURI = ownURI }

    mutating func add(_ key: QueueKey, _ condition: QueueCondition, _ source: QueueSource) throws(SettingsError) {
        func wrong(_ reason: String) -> SettingsError { SettingsError(message: "scaling.policies.\(key.policy): \(reason)") }
        func queue() throws(SettingsError) -> DestinationGroup {
            guard let group = source.group else {
                throw wrong("the queue `\(condition.destination)` needs `group`, the group that its workers share")
            }
            do throws(BinderError) { return DestinationGroup(try Destination(condition.destination), try ConsumerGroup(group)) } catch {
                throw wrong(error.message)
            }
        }
        func checked(_ url: String) throws(SettingsError) -> String {
            guard HTTPClientRequest.address(of: url) != nil else {
                throw wrong("\(HTTPClientRequest.shown(url)) is no URL such as http://host:9090")
            }
            return url
        }
        func add(_ uri: String) throws(SettingsError) {
            brokers[uri, default: []].append((key, try queue()))
            guard let count = condition.partitions else { return }
            let known = partitions[uri, default: [:]].updateValue(count, forKey: condition.destination)
            if let known, known != count {
                throw wrong("`\(condition.destination)` has \(count) partitions here and \(known) in another policy")
            }
        }
        switch source.kind {
        case .embedded:
            if try BinderURI(ownURI).isEmbedded { embedded.append((key, try queue())) } else { try add(ownURI) }
        case .broker(let uri):
            do throws(SettingsError) { _ = try BinderURI(uri) } catch {
                throw wrong(
                    "`source` needs the URI of a broker such as amqp://user:password@host:5672/vhost, kafka://host:9092, redis://host:6379/0 or http://host:8888"
                )
            }
            try add(uri)
        case .http(let url, let backlog, let published):
            func pointer(_ text: String) throws(SettingsError) -> JSONPointer {
                guard let pointer = JSONPointer(text) else { throw wrong("`\(text)` is no JSON pointer, such as /queues/0/depth") }
                return pointer
            }
            var counter: JSONPointer?
            if let published { counter = try pointer(published) }
            pages[try checked(url), default: []].append((key, PageSource.Queue(backlog: try pointer(backlog), published: counter)))
        case .prometheus(let url, let backlog, let published):
            prometheus[try checked(url), default: []].append((key, PrometheusSource.Queue(backlog: backlog, published: published)))
        }
    }
}
