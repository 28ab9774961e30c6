internal import Settings

/// Where the numbers of a queue come from.
package struct QueueSource: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case embedded
        /// A broker by its URI, which may hold a password.
        case broker(uri: String)
        /// JSON pointers into an answer; `published` counts up.
        case http(url: String, backlog: String, published: String?)
        case prometheus(url: String, backlog: String, published: String?)
    }

    package var kind: Kind
    package var group: String?

    init(_ reader: inout SettingsReader, _ key: String) throws(SettingsError) {
        group = reader.string(key + ".group")
        let source = key + ".source"
        let numbers = { (reader: inout SettingsReader) throws(SettingsError) -> (String, String?) in
            guard let backlog = reader.string(source + ".backlog") else {
                throw reader.wrong(source, "needs `backlog`, where the number of messages that wait is found")
            }
            return (backlog, reader.string(source + ".published"))
        }
        if let url = reader.string(source + ".http") {
            let (backlog, published) = try numbers(&reader)
            for pointer in [backlog, published].compactMap({ $0 }) where !pointer.hasPrefix("/") {
                throw reader.wrong(source, "has JSON pointers, which begin with `/`, not `\(pointer)`")
            }
            kind = .http(url: url, backlog: backlog, published: published)
        } else if let url = reader.string(source + ".prometheus") {
            let (backlog, published) = try numbers(&reader)
            kind = .prometheus(url: url, backlog: backlog, published: published)
        } else if let uri = reader.string(source, secret: true) {
            kind = .broker(uri: uri)
        } else {
            kind = .embedded
        }
    }
}
