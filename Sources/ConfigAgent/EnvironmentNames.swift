import ConfigClient
import ConfigModel

/// Keys as names of environment variables, as Spring reads them back: `pool.max-size` is `POOL_MAXSIZE`, `hosts[0].name` is `HOSTS_0_NAME`.
enum EnvironmentNames {
    /// Nil for a key of which nothing remains.
    static func name(_ key: String) -> String? {
        var name: [UInt8] = []
        for byte in key.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): name.append(byte - 32)
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): name.append(byte)
            case UInt8(ascii: "."), UInt8(ascii: "["): if name.last != UInt8(ascii: "_") { name.append(UInt8(ascii: "_")) }
            case UInt8(ascii: "-"), UInt8(ascii: "]"): break
            default: name.append(UInt8(ascii: "_"))
            }
        }
        return name.contains { $0 != UInt8(ascii: "_") } ? String(decoding: name, as: UTF8.self) : nil
    }

    /// The variables of a snapshot, sorted by name. Where two keys have one name, the first of the sorted keys wins; a value with a NUL
    /// cannot be in an environment and is left out.
    static func variables(_ snapshot: ConfigSnapshot) -> [(name: String, value: String)] {
        var variables: [String: String] = [:]
        for entry in snapshot.entries(under: "") {
            guard let name = name(entry.key), variables[name] == nil else { continue }
            let text = entry.value.text
            if !text.utf8.contains(0) { variables[name] = text }
        }
        return variables.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
    }
}
