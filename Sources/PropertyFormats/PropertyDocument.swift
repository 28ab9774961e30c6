package import ConfigModel

/// One document of a file: flat properties in the order of the file, each key once.
///
/// Keys that decide whether the document counts (`spring.config.activate.on-profile`) are ordinary properties here.
package struct PropertyDocument: Sendable, Hashable {
    package var properties: [Property]

    package init(properties: [Property]) {
        self.properties = properties
    }

    /// The value of `key`; nil when the document has none.
    package subscript(key: String) -> PropertyValue? {
        properties.first { $0.key == key }?.value
    }
}
