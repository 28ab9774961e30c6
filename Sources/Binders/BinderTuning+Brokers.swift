import Crypto
import HTTPBinder
import HTTPClient
import KafkaBinder
import LocalBinder
import RabbitMQBinder
import RedisBinder
import Streams

extension LocalLimits {
    init(_ tuning: BinderTuning) {
        self.init()
        if let limit = tuning.largestPayload { eventBytes = limit }
        if let backlog = tuning.backlog { backlogEvents = backlog }
    }
}

extension RabbitMQConfiguration {
    mutating func apply(_ tuning: BinderTuning) throws {
        if tuning.isImpatient {
            heartbeat = .seconds(2)
            connectLimit = .seconds(5)
            publishLimit = .seconds(5)
            (backOff, longestBackOff) = (.milliseconds(20), .milliseconds(300))
        }
        if let route = tuning.route {
            addresses = try addresses.map(route)
            tls?.verifiesHost = false  // the library knows one name only, the one that it dials; the authorities are still checked
        }
        if let given = tuning.password { password = given }
        if tuning.isMandatory { mandatory = true }
        partitions.merge(tuning.partitions) { $1 }
        if let given = tuning.prefix { prefix = given }
        if let limit = tuning.largestPayload { largestPayload = limit }
    }
}

extension RedisConfiguration {
    mutating func apply(_ tuning: BinderTuning) throws {
        if tuning.isImpatient {
            connectLimit = .seconds(5)
            replyLimit = .seconds(3)
            publishLimit = .seconds(5)
            lease = .seconds(4)
            (backOff, longestBackOff) = (.milliseconds(20), .milliseconds(300))
        }
        if let route = tuning.route {
            addresses = try addresses.map(route)
            tls?.verifiesHost = false  // as for RabbitMQ
        }
        if let given = tuning.password { password = given }
        partitions.merge(tuning.partitions) { $1 }
        if let given = tuning.prefix { prefix = given }
        if let limit = tuning.largestPayload { largestPayload = limit }
    }
}

extension KafkaConfiguration {
    mutating func apply(_ tuning: BinderTuning) {
        if tuning.isImpatient {
            (publishLimit, requestLimit) = (.seconds(8), .seconds(4))
            (sessionLimit, heartbeat) = (.seconds(10), .milliseconds(500))
            (backOff, longestBackOff) = (.milliseconds(50), .milliseconds(500))
            groupNaming = .destination
        }
        if let way = tuning.route {
            // The cluster tells its own addresses: each of them is led to the way.
            route = KafkaRoute { address, port in try? way(BinderTuning.Address(host: address, port: port)).port }
        }
        if let given = tuning.password { sasl?.password = given }
        partitions.merge(tuning.partitions) { $1 }
        if !tuning.partitions.isEmpty { addsPartitions = true }
        if let count = tuning.defaultPartitions { defaultPartitions = count }
        if let limit = tuning.largestPayload { largestPayload = limit }
    }
}

extension HTTPBinderConfiguration {
    mutating func apply(_ tuning: BinderTuning) throws {
        if tuning.isImpatient {
            publishLimit = .seconds(5)
            (lease, wait) = (.seconds(2), .seconds(2))
            (firstPause, longestPause) = (.milliseconds(20), .milliseconds(300))
            client.connectLimit = .seconds(5)
            client.idleLimit = .seconds(20)  // a server tells of itself every 15 s
        }
        if let route = tuning.route {
            guard let (host, port) = HTTPClientRequest.address(of: url) else {
                throw BinderError(.invalid, "\(HTTPClientRequest.shown(url)) is no http or https URL")
            }
            let there = try route(BinderTuning.Address(host: host, port: port))
            client.connectTo = "\(there.host):\(there.port)"
        }
        if let given = tuning.password { token = { given } }
    }
}
