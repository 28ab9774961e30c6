internal import Autoscaler
internal import JSON

extension NomadTarget {
    /// Questions that wait until the job's state has another index.
    package func watch(_ changed: @escaping @Sendable () -> Void) async {
        await follow(api.limits, changed) { opened in
            var index: Int64?
            while !Task.isCancelled {
                let asked = ContinuousClock.now
                let next = try await nextIndex(after: index)
                if index == nil { opened() } else if next != index { changed() }
                // A server that does not wait is asked no more often than after a failure.
                if next == index, ContinuousClock.now - asked < api.limits.firstPause { return }
                // An index that goes backwards is that of a restored server: begin anew.
                index = next < index ?? 0 ? nil : next
            }
        }
    }
}
