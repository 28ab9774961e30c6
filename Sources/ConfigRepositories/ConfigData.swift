import ConfigModel

/// One document of a file with what it says about itself: when it is active, and what it imports.
struct ConfigDocument {
    /// The path of its file.
    let path: String
    /// That path as messages show it.
    let shown: String
    /// Its position among the file's documents; nil when it is the only one.
    let number: Int?
    /// Whether the file was loaded for a profile (`foo-dev.yml`).
    let isProfileSpecific: Bool
    let properties: [Property]
    /// Conditions, one of which must hold.
    let onProfile: [ProfileExpression]
    let onCloudPlatform: String?
    let imports: [String]
    let includes: [String]
    /// `spring.profiles.group.*`.
    let groups: [(profile: String, members: [String])]

    init(path: String, shown: String, number: Int?, isProfileSpecific: Bool, properties: [Property]) throws(ConfigError) {
        self.path = path
        self.shown = shown
        self.number = number
        self.isProfileSpecific = isProfileSpecific
        self.properties = properties
        var onProfile: [ProfileExpression] = []
        var onCloudPlatform: String?
        var imports: [String] = []
        var includes: [String] = []
        var groups: [(profile: String, members: [String])] = []
        let place = number.map { "\(shown), document #\($0)" } ?? shown
        for property in properties {
            guard let first = property.key.utf8.first, first == 115 || first == 83 else { continue }  // s, S
            let (name, rest) = Self.canonical(property.key)
            switch name {
            case "spring.config.activate.onprofile":
                for text in Self.list(property.value) {
                    do { onProfile.append(try ProfileExpression(text)) } catch { throw ConfigError(.broken, "\(place): \(error)") }
                }
            case "spring.config.activate.oncloudplatform": onCloudPlatform = property.value.text
            case "spring.config.import": imports += Self.list(property.value)
            case "spring.profiles":
                throw ConfigError(
                    .broken, "\(place): the key spring.profiles is not read any more; write spring.config.activate.on-profile instead")
            case "spring.profiles.include":
                if isProfileSpecific { throw Self.misplaced("spring.profiles.include", place) }
                includes += Self.list(property.value)
            case "spring.profiles.active", "spring.profiles.default":
                if isProfileSpecific { throw Self.misplaced(name, place) }
            case "spring.profiles.group":
                if let index = groups.firstIndex(where: { $0.profile == rest }) {
                    groups[index].members += Self.list(property.value)
                } else if !rest.isEmpty {
                    groups.append((rest, Self.list(property.value)))
                }
            default: break
            }
        }
        self.onProfile = onProfile
        self.onCloudPlatform = onCloudPlatform
        self.imports = imports
        self.includes = includes
        self.groups = groups
    }

    /// Whether the document counts. `profiles` is nil until the active profiles are known: then documents with a condition wait.
    func isActive(_ profiles: [String]?) -> Bool {
        guard onCloudPlatform == nil else { return false }  // the platform of the server says nothing about that of its clients
        guard !onProfile.isEmpty else { return true }
        guard let profiles else { return false }
        return onProfile.contains { $0.matches(profiles) }
    }

    /// Throws when the document decides about profiles although it depends on them.
    func checkCondition() throws(ConfigError) {
        guard !onProfile.isEmpty || onCloudPlatform != nil, !includes.isEmpty || !groups.isEmpty else { return }
        let key = includes.isEmpty ? "spring.profiles.group" : "spring.profiles.include"
        throw ConfigError(
            .broken, "\(shown): \(key) cannot stand in a document that is active for some profiles only; move it to one without condition")
    }

    private static func misplaced(_ key: String, _ place: String) -> ConfigError {
        ConfigError(.broken, "\(place): \(key) cannot stand in a file of a profile; move it to the file without profile")
    }

    /// The key in its canonical form (`onProfile`, `on-profile` and `ON_PROFILE` are the same), without list index; for groups the name of the
    /// profile apart, as written.
    private static func canonical(_ key: String) -> (name: String, rest: String) {
        let plain = key.hasSuffix("]") ? String(key[..<(key.lastIndex(of: "[") ?? key.endIndex)]) : key
        let name = String(plain.lowercased().filter { $0 != "-" && $0 != "_" })
        let group = "spring.profiles.group."
        if name.hasPrefix(group) { return ("spring.profiles.group", plain.split(separator: ".").dropFirst(3).joined(separator: ".")) }
        if name.hasPrefix("spring.profiles.group[") { return ("", "") }
        return (name, "")
    }

    /// A value that stands for a list: items between commas.
    private static func list(_ value: PropertyValue) -> [String] {
        value.text.split(separator: ",").map { $0.trimmingBlanks }.filter { !$0.isEmpty }
    }
}

extension StringProtocol {
    var trimmingBlanks: String {
        var rest = self[...]
        while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return String(rest)
    }
}
