import ConfigModel
import Foundation

/// Reads the environment JSON of a configuration server, in its first or second form.
enum EnvironmentReading {
    static func read(_ bytes: [UInt8]) -> ConfigEnvironment? {
        guard let root = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else { return nil }
        guard let name = root["name"] as? String, let sources = root["propertySources"] as? [[String: Any]] else { return nil }
        var environment = ConfigEnvironment(
            name: name, profiles: root["profiles"] as? [String] ?? [], label: root["label"] as? String, version: root["version"] as? String,
            state: root["state"] as? String)
        for source in sources {
            guard let name = source["name"] as? String, let values = source["source"] as? [String: Any] else { return nil }
            let properties = values.keys.sorted().map { key in property(key, values[key]) }
            environment.propertySources.append(PropertySource(name: name, properties: properties))
        }
        return environment
    }

    private static func property(_ key: String, _ value: Any?) -> Property {
        if let wrapped = value as? [String: Any], wrapped.count == 2, let inner = wrapped["value"],
            let origin = wrapped["origin"] as? String
        {
            let parts = origin.split(separator: ":").compactMap { Int($0) }
            return Property(key: key, value: scalar(inner), origin: parts.count == 2 ? Origin(line: parts[0], column: parts[1]) : nil)
        }
        return Property(key: key, value: scalar(value))
    }

    private static func scalar(_ value: Any?) -> PropertyValue {
        switch value {
        case let text as String: return .string(text)
        case let number as NSNumber:
            if CFBooleanCheck.isBoolean(number) { return .boolean(number.boolValue) }
            let text = number.stringValue
            return text.utf8.allSatisfy { $0 == 45 || 48...57 ~= $0 } ? .integer(text) : .double(number.doubleValue)
        default: return .string("")
        }
    }

    private enum CFBooleanCheck {
        static func isBoolean(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
    }
}
