internal import ConfigModel

/// Flat properties in order of their first appearance; a key that comes again replaces the value and keeps its place.
struct PropertyCollector {
    private(set) var properties: [Property] = []
    private var places: [String: Int] = [:]

    var isEmpty: Bool { properties.isEmpty }

    mutating func put(_ property: Property) {
        if let place = places[property.key] {
            properties[place] = property
        } else {
            places[property.key] = properties.count
            properties.append(property)
        }
    }
}
