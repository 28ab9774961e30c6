package import ConfigModel

/// An environment as one merged file: `.properties`, YAML and JSON, byte for byte as the original writes them.
package struct FlatEnvironment: Sendable {
    private let environment: ConfigEnvironment
    private let properties: [Property]

    package init(_ environment: ConfigEnvironment) {
        self.environment = environment
        properties = environment.mergedInOrder
    }

    /// Lines `key: value` without a line feed at the end. Nothing is escaped: a value with a line feed takes several lines, as in the original.
    package func propertiesText(resolvingPlaceholders: Bool) throws(FlatRenderingError) -> String {
        let lines = properties.map { "\($0.key): \(Self.javaText(of: $0.value))" }
        guard resolvingPlaceholders else { return lines.joined(separator: "\n") }
        let placeholders = FlatPlaceholders(environment)
        var resolved: [String] = []
        resolved.reserveCapacity(lines.count)
        for line in lines {
            do {
                resolved.append(try placeholders.resolve(line))
            } catch {
                throw Self.failure(error, in: lines.joined(separator: "\n"))
            }
        }
        return resolved.joined(separator: "\n")
    }

    /// YAML in block style. What was a list or a scalar in its file stands alone when there is nothing else.
    package func yamlText(resolvingPlaceholders: Bool) throws(FlatRenderingError) -> String {
        let tree = try FlatTree(properties)
        if tree.root.entries.count == 1, let document = tree.root["document"] {
            switch document {
            case .list: return try yaml(document, nil)
            case .value(let value): return YAMLEmitter.document(textOf: value)
            case .map, .null: break
            }
        }
        return try yaml(.map(tree.root), resolvingPlaceholders ? FlatPlaceholders(environment) : nil)
    }

    private func yaml(_ node: FlatTree.Node, _ resolution: FlatPlaceholders?) throws(FlatRenderingError) -> String {
        do {
            return try YAMLEmitter.document(node, resolution: resolution)
        } catch {
            throw Self.failure(error, in: (try? YAMLEmitter.document(node, resolution: nil)) ?? "")
        }
    }

    /// Compact JSON.
    package func jsonText(resolvingPlaceholders: Bool) throws(FlatRenderingError) -> String {
        let tree = try FlatTree(properties)
        do {
            return try FlatJSON.document(tree, resolution: resolvingPlaceholders ? FlatPlaceholders(environment) : nil)
        } catch {
            throw Self.failure(error, in: (try? FlatJSON.document(tree, resolution: nil)) ?? "")
        }
    }

    /// The original names the whole text in its message; the part that it was found in is of no use there.
    private static func failure(_ error: PlaceholderError, in document: String) -> FlatRenderingError {
        .placeholders(PlaceholderError(reason: error.reason, texts: error.texts.dropLast() + [document]))
    }

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// As Java prints a value: of a time `Wed Jan 31 00:00:00 UTC 2024`.
    private static func javaText(of value: PropertyValue) -> String {
        guard case .timestamp(let milliseconds) = value else { return value.text }
        let time = ISOTime(milliseconds: milliseconds)
        return
            "\(weekdays[time.weekday]) \(months[time.month - 1]) \(ISOTime.padded(time.day, 2)) \(time.time) UTC \(ISOTime.padded(time.year, 4))"
    }
}
