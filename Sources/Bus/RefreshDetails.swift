package import Streams

/// What a refresh of Carillon tells besides its body, in headers that Spring passes over: which configuration to fetch, and what has changed.
package struct RefreshDetails: Sendable, Hashable {
    /// Who made the change, and when.
    package struct Commit: Sendable, Hashable {
        package var id: String?
        package var author: String?
        /// Milliseconds since 1970.
        package var time: Int64?
        package init(id: String? = nil, author: String? = nil, time: Int64? = nil) {
            self.id = id
            self.author = author
            self.time = time
        }
    }

    /// The version that is served now; an instance asks for at least this one.
    package var version: String?
    /// Content hash of the merged environment, where the event is for one audience.
    package var hash: String?
    package var label: String?
    /// Names of the properties that changed, never their values.
    package var keys: [String]
    /// How many changed; more than `keys` holds where the list was cut.
    package var keyCount: Int
    package var commit: Commit

    package init(version: String? = nil, hash: String? = nil, label: String? = nil, keys: [String] = [], commit: Commit = Commit()) {
        self.version = version
        self.hash = hash
        self.label = label
        self.keys = keys
        keyCount = keys.count
        self.commit = commit
    }

    /// The list of keys ends before this many bytes, so that a change of a thousand keys does not outgrow a broker's header limit.
    package static let keysLimit = 4096

    package var headers: [String: HeaderValue] {
        var headers: [String: HeaderValue] = [:]
        func set(_ name: String, _ value: String?) { if let value { headers[name] = .string(value) } }
        set(BusHeader.version, version)
        set(BusHeader.hash, hash)
        set(BusHeader.label, label)
        set(BusHeader.commit, commit.id)
        set(BusHeader.author, commit.author)
        if let time = commit.time { headers[BusHeader.commitTime] = .integer(time) }
        if keyCount > 0 {
            var list = ""
            for key in keys {
                let encoded = BusHeader.encodedItem(key)
                guard list.utf8.count + encoded.utf8.count + 1 <= Self.keysLimit else { break }
                list += (list.isEmpty ? "" : ",") + encoded
            }
            headers[BusHeader.keys] = .string(list)
            headers[BusHeader.keyCount] = .integer(Int64(keyCount))
        }
        return headers
    }

    package init(headers: [String: HeaderValue]) {
        version = BusHeader.text(headers, BusHeader.version)
        hash = BusHeader.text(headers, BusHeader.hash)
        label = BusHeader.text(headers, BusHeader.label)
        keys = BusHeader.text(headers, BusHeader.keys).map(BusHeader.items) ?? []
        keyCount = max(keys.count, Int(clamping: headers[BusHeader.keyCount]?.integer ?? 0))
        commit = Commit(
            id: BusHeader.text(headers, BusHeader.commit), author: BusHeader.text(headers, BusHeader.author),
            time: headers[BusHeader.commitTime]?.integer)
    }
}

/// The headers of Carillon on the bus.
package enum BusHeader {
    package static let version = "carillon-version"
    package static let hash = "carillon-hash"
    package static let label = "carillon-label"
    package static let keys = "carillon-keys"
    package static let keyCount = "carillon-key-count"
    package static let commit = "carillon-commit"
    package static let author = "carillon-author"
    package static let commitTime = "carillon-commit-time"
    package static let instance = "carillon-instance"
    package static let application = "carillon-application"
    package static let profiles = "carillon-profiles"
    package static let outcome = "carillon-outcome"
    package static let time = "carillon-time"
    package static let error = "carillon-error"
    /// On a report: every Carillon instance that sees it reports, too.
    package static let rollCall = "carillon-roll-call"

    /// The header as text. Kafka hands over headers of unknown types as bytes, so those are read as UTF-8. Whatever is longer than 8 KiB counts
    /// as absent: no header of ours is.
    static func text(_ headers: [String: HeaderValue], _ name: String) -> String? {
        let text: String?
        if case .bytes(let bytes) = headers[name] { text = String(validating: bytes, as: UTF8.self) } else { text = headers[name]?.text }
        guard let text, text.utf8.count <= 8192 else { return nil }
        return text
    }

    /// An item of a list that is joined by commas: commas, per cent signs, blanks and control characters become `%XX`.
    static func encodedItem(_ item: String) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in item.utf8 {
            if byte <= 0x20 || byte == 0x7F || byte == 0x25 || byte == 0x2C {
                bytes += [0x25, hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func items(_ list: String) -> [String] {
        list.utf8.split(separator: 0x2C).map { item in
            var bytes: [UInt8] = []
            var rest = Array(item)[...]
            while let byte = rest.popFirst() {
                if byte == 0x25, rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                    bytes.append(value)
                    rest.removeFirst(2)
                } else {
                    bytes.append(byte)
                }
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
