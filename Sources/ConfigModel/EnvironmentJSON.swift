import JSON

/// The JSON of an environment in both forms of Spring Cloud Config.
package enum EnvironmentJSON {
    package enum Form: Sendable, Hashable, CaseIterable {
        /// Values as they are.
        case plain
        /// Each value as `{"value":…,"origin":"3:7"}` where its place is known.
        case withOrigins

        /// The media type of an answer in this form.
        package var mediaType: String {
            switch self {
            case .plain: "application/json"
            case .withOrigins: "application/vnd.spring-cloud.config-server.v2+json"
            }
        }
    }

    package struct Malformed: Error, Sendable, Hashable, CustomStringConvertible {
        package let reason: String
        package var description: String { "not an environment: \(reason)" }
    }

    /// The source of values that a server forces on its clients; its name is part of the wire format.
    package static let overridesName = "overrides"
    private static let overridesOrigin = "Config server overrides"

    /// UTF-8 bytes with fields in the order of the original.
    package static func encode(_ environment: ConfigEnvironment, as form: Form) -> [UInt8] {
        let count = environment.propertySources.reduce(0) { $0 + $1.properties.count }
        var writer = JSONWriter(capacity: 512 + 64 * count)
        writer.raw("{\"name\":")
        writer.string(environment.name)
        writer.raw(",\"profiles\":[")
        for (index, profile) in environment.profiles.enumerated() {
            if index > 0 { writer.raw(",") }
            writer.string(profile)
        }
        writer.raw("],\"label\":")
        writer.string(environment.label)
        writer.raw(",\"version\":")
        writer.string(environment.version)
        writer.raw(",\"state\":")
        writer.string(environment.state)
        writer.raw(",\"propertySources\":[")
        for (index, source) in environment.propertySources.enumerated() {
            if index > 0 { writer.raw(",") }
            write(source, as: form, to: &writer)
        }
        writer.raw("]}")
        return writer.bytes
    }

    private static func write(_ source: PropertySource, as form: Form, to writer: inout JSONWriter) {
        writer.raw("{\"name\":")
        writer.string(source.name)
        writer.raw(",\"source\":{")
        let isOverrides = source.name == overridesName
        for (index, property) in source.properties.enumerated() {
            if index > 0 { writer.raw(",") }
            writer.string(property.key)
            writer.raw(":")
            guard form == .withOrigins, isOverrides || property.origin != nil else {
                writer.value(property.value)
                continue
            }
            writer.raw("{\"value\":")
            writer.value(property.value)
            writer.raw(",\"origin\":\"")
            if let origin = property.origin, !isOverrides {
                writer.raw(text: String(origin.line))
                writer.raw(":")
                writer.raw(text: String(origin.column))
            } else {
                writer.raw(text: overridesOrigin)
            }
            writer.raw("\"}")
        }
        writer.raw("}}")
    }

    /// An environment from either form: an object of exactly `value` and `origin` is a value with its place.
    package static func decode(_ bytes: [UInt8]) throws(Malformed) -> ConfigEnvironment {
        let root: JSONValue
        do {
            root = try JSONReader.read(bytes)
        } catch {
            throw Malformed(reason: error.description)
        }
        guard let name = root["name"]?.string else { throw Malformed(reason: "no text \"name\"") }
        guard let sources = root["propertySources"]?.items else { throw Malformed(reason: "no list \"propertySources\"") }
        var environment = ConfigEnvironment(
            name: name, profiles: (root["profiles"]?.items ?? []).compactMap(\.string), label: root["label"]?.string,
            version: root["version"]?.string, state: root["state"]?.string)
        for source in sources {
            guard let name = source["name"]?.string, case .object(let fields) = source["source"] else {
                throw Malformed(reason: "a property source without \"name\" or \"source\"")
            }
            var properties: [Property] = []
            properties.reserveCapacity(fields.count)
            for field in fields { append(field.value, key: field.name, to: &properties) }
            environment.propertySources.append(PropertySource(name: name, properties: properties))
        }
        return environment
    }

    private static func append(_ value: JSONValue, key: String, to properties: inout [Property]) {
        switch value {
        case .null: properties.append(Property(key: key, value: .string("")))
        case .boolean(let boolean): properties.append(Property(key: key, value: .boolean(boolean)))
        case .string(let text): properties.append(Property(key: key, value: .string(text)))
        case .number(let digits): properties.append(Property(key: key, value: number(digits)))
        case .array(let items):
            // Other repositories than files may serve values that are not flat.
            if items.isEmpty { properties.append(Property(key: key, value: .string(""))) }
            for (index, item) in items.enumerated() { append(item, key: "\(key)[\(index)]", to: &properties) }
        case .object(let fields):
            if fields.count == 2, let inner = value["value"], let origin = value["origin"]?.string {
                let first = properties.count
                append(inner, key: key, to: &properties)
                for index in first..<properties.count { properties[index].origin = Self.origin(origin) }
            } else {
                for field in fields { append(field.value, key: "\(key).\(field.name)", to: &properties) }
            }
        }
    }

    private static func number(_ digits: String) -> PropertyValue {
        if digits.utf8.allSatisfy({ $0 != UInt8(ascii: ".") && $0 | 0x20 != UInt8(ascii: "e") }) {
            return .integer(digits == "-0" ? "0" : digits)
        }
        return .double(Double(digits) ?? .nan)
    }

    private static func origin(_ text: String) -> Origin? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let line = Int(parts[0]), let column = Int(parts[1]) else { return nil }
        return Origin(line: line, column: column)
    }
}
