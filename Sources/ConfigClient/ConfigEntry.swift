public import ConfigModel

/// One key of the merged configuration and where its value comes from.
public struct ConfigEntry: Sendable, Hashable, CustomStringConvertible {
    public let key: String
    /// With its placeholders resolved.
    public let value: PropertyValue
    /// Name of the property source that wins.
    public let source: String
    public let origin: Origin?
    /// As the server sent it, placeholders and all.
    package let served: PropertyValue

    package init(key: String, value: PropertyValue, served: PropertyValue? = nil, source: String, origin: Origin?) {
        self.key = key
        self.value = value
        self.served = served ?? value
        self.source = source
        self.origin = origin
    }

    /// `file.yml:3:7`
    public var place: String { origin.map { "\(source):\($0.line):\($0.column)" } ?? source }

    /// Key and place, never the value.
    public var description: String { "\(key) (\(place))" }
}

/// Relaxed names: `pool.max-size`, `pool.maxSize` and `pool.max_size` are one key.
package enum RelaxedName {
    /// Lower case, without `-` and `_`.
    package static func canonical(_ key: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(key.utf8.count)
        var isASCII = true
        for byte in key.utf8 where byte != 0x2D && byte != 0x5F {
            bytes.append(byte &- 65 < 26 ? byte | 32 : byte)
            if byte > 0x7F { isASCII = false }
        }
        let text = String(decoding: bytes, as: UTF8.self)
        return isASCII ? text : text.lowercased()
    }
}
