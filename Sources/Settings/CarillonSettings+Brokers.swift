import Options

extension CarillonSettings {
    /// Where a broker is, and what is shown to it.
    package struct Broker: Sendable, Hashable {
        package var uri: String
        /// For another Carillon's channels.
        package var token: String?
        /// A PEM file of the authorities that may vouch for another Carillon.
        package var authorityFile: String?

        package init(uri: String, token: String? = nil, authorityFile: String? = nil) {
            self.uri = uri
            self.token = token
            self.authorityFile = authorityFile
        }
    }

    /// The `binders:` section: a URI, or a map with `uri` (or `uri-file`), by name.
    package static func brokers(_ reader: inout SettingsReader) throws(SettingsError) -> [String: Broker] {
        var brokers: [String: Broker] = [:]
        for name in reader.names(below: "binders") {
            let key = "binders.\(name)"
            var uri = reader.string(key, secret: true)
            if uri == nil { uri = try reader.secret(key + ".uri") }
            guard let uri, !uri.isEmpty else { throw reader.wrong(key, "needs a URI, or a map with `uri`") }
            brokers[name] = Broker(
                uri: uri, token: try reader.secret(key + ".token"), authorityFile: reader.string(key + ".authority-file"))
        }
        return brokers
    }

    /// The broker of that name; nil: the default one, nil where that is the embedded broker. Throws for a name that is none of `binders`.
    package func broker(_ name: String?) throws(SettingsError) -> Broker? {
        guard let name = name ?? binder else {
            guard binders.count <= 1 else {
                let names = binders.keys.sorted().joined(separator: ", ")
                throw SettingsError(message: "is needed where there are several `binders`: name one of \(names)")
            }
            return binders.values.first
        }
        if let broker = binders[name] { return broker }
        if name == binder, name.contains(":") || binders.isEmpty { return Broker(uri: name) }
        // Not shown: it may hold a password, where only a name was expected.
        if name.contains(":") {
            throw SettingsError(message: "must be the name of one of `binders`, and is a URI: put the URI there under a name")
        }
        let nearest = Spelling.nearest(to: name, in: binders.keys.sorted()).map { "; did you mean `\($0)`?" } ?? ""
        throw SettingsError(message: "names `\(name)`, which is none of `binders`\(nearest)")
    }

    /// A broker that the bus is joined with: one of `binders`, or a URI.
    package func bridged(_ name: String) throws(SettingsError) -> Broker {
        if binders[name] == nil, name.contains(":") { return Broker(uri: name) }
        guard let broker = try broker(name) else { throw SettingsError(message: "needs names of `binders`, or URIs") }
        return broker
    }
}
