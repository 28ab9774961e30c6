internal import JSON

/// What a list of pods says.
enum KubernetesPods {
    /// Those that are ready and not about to end.
    static func ready(_ list: JSONValue?) -> Int {
        (list?["items"]?.items ?? []).count { pod in
            guard pod["metadata"]?["deletionTimestamp"]?.string == nil else { return false }
            return (pod["status"]?["conditions"]?.items ?? []).contains { $0["type"]?.string == "Ready" && $0["status"]?.string == "True" }
        }
    }

    /// Why the first one that does not run does not: no node takes it, or its container does not start.
    static func whyPending(_ list: JSONValue?) -> String? {
        for pod in list?["items"]?.items ?? [] {
            let name = pod["metadata"]?["name"]?.string ?? "a pod"
            for condition in pod["status"]?["conditions"]?.items ?? []
            where condition["type"]?.string == "PodScheduled" && condition["status"]?.string == "False" {
                return "\(name): \(condition["message"]?.string ?? condition["reason"]?.string ?? "not scheduled")"
            }
            for container in pod["status"]?["containerStatuses"]?.items ?? [] {
                guard let waiting = container["state"]?["waiting"], let reason = waiting["reason"]?.string, reason != "ContainerCreating"
                else { continue }
                return "\(name): \(reason)" + (waiting["message"]?.string.map { ": \($0)" } ?? "")
            }
        }
        return nil
    }
}
