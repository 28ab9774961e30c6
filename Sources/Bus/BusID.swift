package import Streams

/// The name of one instance on the bus: `application[:profiles]:index:instance`.
package struct BusID: Sendable, Hashable, CustomStringConvertible {
    package let text: String
    /// The first segment.
    package let application: String
    /// The profiles in the second of four segments; empty where there are three.
    package let profiles: [String]

    /// Takes a bus id as it is configured. Throws `.invalid` for one that peers could not address or would take for a pattern: empty, a colon at
    /// either end, one of `* ? { }` (peers match an event's origin as a pattern), a control character.
    package init(_ text: String) throws(BinderError) {
        let scalars = text.unicodeScalars
        guard !text.isEmpty else { throw BinderError(.invalid, "a bus id needs a name") }
        guard scalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F && !"*?{}".unicodeScalars.contains($0) }) else {
            throw BinderError(
                .invalid,
                "the bus id \(text) holds a control character or one of * ? { }, which peers take for a pattern; choose another name")
        }
        guard text.utf8.first != 58, text.utf8.last != 58 else {
            throw BinderError(
                .invalid, "the bus id \(text) begins or ends with a colon: peers could not address it; give the application a name")
        }
        self.text = text
        let parts = text.utf8.split(separator: 58).map { String(Substring($0)) }
        application = parts[0]
        profiles = parts.count >= 4 ? parts[1].split(separator: ",").map(String.init) : []
    }

    /// Builds an id by the rules of Spring Boot 2 and later. `index` is the port unless told otherwise; `instance` is different in each process
    /// and stays the same for its life. A colon within a part would add a segment and is replaced by `-`.
    package init(application: String, profiles: [String] = [], index: String, instance: String = BusID.randomInstance()) throws(BinderError)
    {
        func clean(_ part: String) -> String { String(decoding: part.utf8.map { $0 == 58 ? 45 : $0 }, as: UTF8.self) }
        var parts = [clean(application.isEmpty ? "application" : application)]
        if !profiles.isEmpty { parts.append(clean(profiles.joined(separator: ","))) }
        try self.init((parts + [clean(index), clean(instance)]).joined(separator: ":"))
    }

    /// The id that a Spring application with these properties has. `property` looks one up by its full name.
    ///
    /// One deviation: an empty `spring.application.name` counts as none; the original makes an id of it that no pattern matches.
    package init(springProperties property: (String) -> String?, instance: String = BusID.randomInstance()) throws(BinderError) {
        if let id = property("spring.cloud.bus.id"), !id.isEmpty {
            try self.init(id)
            return
        }
        let cloudFoundry = property("vcap.application.name")
        let active = cloudFoundry == nil ? property("spring.profiles.active") ?? "" : ""
        try self.init(
            application: cloudFoundry ?? property("spring.application.name") ?? "", profiles: active.isEmpty ? [] : [active],
            index: property("vcap.application.instance_index") ?? property("spring.application.index") ?? property("local.server.port")
                ?? property("server.port") ?? "8080",
            instance: property("vcap.application.instance_id") ?? instance)
    }

    /// 32 hex digits.
    package static func randomInstance() -> String { Identifier.random().filter { $0 != "-" } }

    package var description: String { text }
}
