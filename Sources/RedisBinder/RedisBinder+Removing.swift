package import Streams

extension RedisBinder: DestinationRemoving {
    package func remove(_ destination: Destination) async throws(BinderError) {
        for keys in allKeys(of: destination, group: nil) { _ = try await call(Scripts.remove(keys), on: keys) }
    }

    package func remove(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {
        for keys in allKeys(of: destination, group: group) { _ = try await call(Scripts.removeGroup(keys, group: group.name), on: keys) }
    }
}
