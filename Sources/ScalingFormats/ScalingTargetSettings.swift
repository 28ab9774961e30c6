internal import ConfigModel
internal import Settings

/// Where the workers of a policy run.
package enum ScalingTargetSettings: Sendable, Equatable {
    case local(command: [String], environment: [String: String], drain: Duration)
    /// `resource`: `GROUP/VERSION/PLURAL/NAME` with a scale subresource.
    case kubernetes(resource: String, namespace: String?, kubeconfig: String?)
    case nomad(address: String, job: String, group: String?, namespace: String?, region: String?, tokenFile: String?)
    case swarm(address: String, service: String)
    case marathon(address: String, app: String, tokenFile: String?)
    case webhook(url: String, secretFile: String?)
    case exec(command: [String])

    private static let kinds = ["local", "kubernetes", "nomad", "swarm", "marathon", "webhook", "exec"]

    /// Nil where the policy names no target: nobody sets the count but KEDA, which asks for it. `keda: {}` says the same, as an empty map holds
    /// no setting.
    init?(_ reader: inout SettingsReader, _ key: String) throws(SettingsError) {
        guard reader.has(key) else { return nil }
        let given = Self.kinds.filter { reader.has(key + "." + $0) }
        guard let kind = given.first, given.count == 1 else {
            throw reader.wrong(key, "needs one of \(Self.kinds.joined(separator: ", "))")
        }
        let inner = key + "." + kind
        func needed(_ reader: inout SettingsReader, _ name: String) throws(SettingsError) -> String {
            guard let text = reader.string("\(inner).\(name)"), !text.isEmpty else { throw reader.wrong(inner, "needs `\(name)`") }
            return text
        }
        func command(_ reader: inout SettingsReader) throws(SettingsError) -> [String] {
            guard let command = reader.strings(inner + ".command"), !command.isEmpty else {
                throw reader.wrong(inner, "needs `command`, a list of the program and its arguments")
            }
            return command
        }
        switch kind {
        case "local":
            let pairs = reader.everything(below: inner + ".environment").map { ($0.key, $0.value.text) }
            self = .local(
                command: try command(&reader), environment: Dictionary(pairs, uniquingKeysWith: { _, last in last }),
                drain: try reader.duration(inner + ".drain") ?? .seconds(30))
        case "kubernetes":
            self = .kubernetes(
                resource: try Self.resource(&reader, inner), namespace: reader.string(inner + ".namespace"),
                kubeconfig: reader.string(inner + ".kubeconfig"))
        case "nomad":
            self = .nomad(
                address: try needed(&reader, "address"), job: try needed(&reader, "job"), group: reader.string(inner + ".group"),
                namespace: reader.string(inner + ".namespace"), region: reader.string(inner + ".region"),
                tokenFile: reader.string(inner + ".token-file"))
        case "swarm": self = .swarm(address: try needed(&reader, "address"), service: try needed(&reader, "service"))
        case "marathon":
            self = .marathon(
                address: try needed(&reader, "address"), app: try needed(&reader, "app"), tokenFile: reader.string(inner + ".token-file"))
        case "webhook": self = .webhook(url: try needed(&reader, "url"), secretFile: reader.string(inner + ".secret-file"))
        default: self = .exec(command: try command(&reader))
        }
    }

    private static func resource(_ reader: inout SettingsReader, _ key: String) throws(SettingsError) -> String {
        let names = (
            reader.string(key + ".deployment"), reader.string(key + ".statefulset"), reader.string(key + ".resource")
        )
        switch names {
        case (let name?, nil, nil): return "apps/v1/deployments/\(name)"
        case (nil, let name?, nil): return "apps/v1/statefulsets/\(name)"
        case (nil, nil, let resource?):
            guard resource.split(separator: "/").count == 4 else {
                throw reader.wrong(key + ".resource", "needs GROUP/VERSION/PLURAL/NAME, not `\(resource)`")
            }
            return resource
        default: throw reader.wrong(key, "needs one of `deployment`, `statefulset` and `resource`")
        }
    }
}
