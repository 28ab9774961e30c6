internal import Autoscaler
internal import HTTPClient
internal import JSON

extension KubernetesTarget {
    package func watch(_ changed: @escaping @Sendable () -> Void) async {
        // Where the watch stands in the cluster's history; nil: list first.
        var version: String?
        await follow(api.limits, changed) { opened in
            let path = resource.listPath(try await namespace())
            let selector = (name: "fieldSelector", value: "metadata.name=\(resource.name)")
            if version == nil {
                version = try await api.document(RemoteRequest(path: path, query: [selector]))["metadata"]?["resourceVersion"]?.string
            }
            guard let from = version else { throw WatchEnded() }
            let query = [
                selector, ("watch", "true"), ("allowWatchBookmarks", "true"), ("resourceVersion", from),
                ("timeoutSeconds", "\(max(1, api.limits.stream.components.seconds))"),
            ]
            do {
                try await api.stream(RemoteRequest(path: path, query: query)) { body in
                    opened()
                    var lines = LineSplitter()
                    while let bytes = try await body.next() {
                        for line in try lines.feed(bytes) {
                            let event = try JSONReader.read(line)
                            // The history from there on is gone (410), or something else that only a new list mends.
                            guard event["type"]?.string != "ERROR" else { throw WatchEnded() }
                            version = event["object"]?["metadata"]?["resourceVersion"]?.string ?? version
                            if event["type"]?.string != "BOOKMARK" { changed() }
                        }
                    }
                }
            } catch let error as HTTPClientError {
                throw error  // a dropped stream goes on from where it was
            } catch {
                version = nil
                throw error
            }
        }
    }
}

private struct WatchEnded: Error {}
