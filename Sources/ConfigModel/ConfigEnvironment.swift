/// The merged answer for applications, profiles and label; the Environment of Spring Cloud Config.
public struct ConfigEnvironment: Sendable, Hashable {
    public var name: String
    /// As asked for: one element with the profiles segment verbatim, on the wire.
    public var profiles: [String]
    /// The label that was asked for; nil when none was.
    public var label: String?
    /// The commit (or commits, joined by `,`) that was read; nil for repositories without versions.
    public var version: String?
    public var state: String?
    /// What was read: the version, or the hash of the content where a repository has no versions. Not on the compatible wire; it travels as
    /// `X-Config-Version`.
    public var snapshot: String?
    /// Highest precedence first.
    public var propertySources: [PropertySource]

    public init(
        name: String, profiles: [String], label: String? = nil, version: String? = nil, state: String? = nil,
        snapshot: String? = nil, propertySources: [PropertySource] = []
    ) {
        self.name = name
        self.profiles = profiles
        self.label = label
        self.version = version
        self.state = state
        self.snapshot = snapshot ?? version
        self.propertySources = propertySources
    }

    /// The value that wins for each key. Lists are replaced as a whole: the highest source with any key of the group `a[…` supplies all of it.
    public var merged: [String: PropertyValue] {
        var result: [String: PropertyValue] = [:]
        var groups: [Substring: Int] = [:]
        for (index, source) in propertySources.enumerated() {
            for property in source.properties {
                if let bracket = property.key.firstIndex(of: "[") {
                    let group = property.key[..<bracket]
                    guard groups[group, default: index] == index else { continue }
                    groups[group] = index
                }
                if result[property.key] == nil { result[property.key] = property.value }
            }
        }
        return result
    }
}

/// A named set of flat properties, in the order of its file.
public struct PropertySource: Sendable, Hashable {
    public var name: String
    public var properties: [Property]
    public init(name: String, properties: [Property]) {
        self.name = name
        self.properties = properties
    }
}

/// Applications, profiles and label that an environment is served to.
public struct Audience: Sendable, Hashable {
    public var applications: [String]
    public var profiles: [String]
    public var label: String?
    public init(applications: [String], profiles: [String], label: String? = nil) {
        self.applications = applications
        self.profiles = profiles
        self.label = label
    }
}
