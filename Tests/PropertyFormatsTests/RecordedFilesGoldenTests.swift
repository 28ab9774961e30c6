import ConfigModel
import PropertyFormats
import TestSupport
import Testing

/// Files of the recorded repositories, read here, beside the property sources that the original made of them.
@Suite struct RecordedFilesGoldenTests {
    @Test func `each file reads as the property source that was recorded`() throws {
        var report = GoldenReport("files read")
        var left: Set<String> = []
        for recorded in try RecordedCase.all() {
            for request in recorded.requests where request.isRead && !request.isQuirk {
                guard let environment = recorded.environment(of: request) else { continue }
                for source in environment.propertySources {
                    guard let place = Self.place(source.name) else {
                        left.insert("\(recorded.name) \(source.name)")
                        continue
                    }
                    let files = recorded.files(place.repository, place.path).filter { !Self.isEncrypted($0) }
                    guard !files.isEmpty else {
                        left.insert("\(recorded.name) \(source.name)")
                        continue
                    }
                    let readings = files.compactMap { bytes -> [Property]? in
                        guard let documents = try? PropertyFile.parse(bytes, path: place.path) else { return nil }
                        let index = place.document ?? 0
                        return documents.indices.contains(index)
                            ? Self.comparable(documents[index].properties, like: source.properties) : nil
                    }
                    let expected = Self.sorted(source.properties, place.path)
                    let matches = readings.contains { Self.sorted($0, place.path) == expected }
                    #expect(matches, "\(recorded.name)/\(request.id) \(place.path): recorded \(source.properties), read \(readings)")
                    report.played(matches)
                }
            }
        }
        for name in left.sorted() { report.leave(name, "encrypted, or no such file in the recordings") }
        report.show()
        #expect(report.count > 0)
    }

    /// `file://{{ROOT}}/repo/path`, or the sentence that names a document of a file.
    private static func place(_ name: String) -> (repository: String, path: String, document: Int?)? {
        var file = name[...]
        var document: Int?
        if let sentence = name.firstRange(of: "' via location '") {
            guard let hash = name.lastIndex(of: "#") else { return nil }
            document = Int(name[name.index(after: hash)...].dropLast())
            file = name[..<sentence.lowerBound]
            if file.hasSuffix("]") { file = file.dropLast() }
        }
        guard let root = file.ranges(of: "{{ROOT}}/").last else { return nil }
        let rest = file[root.upperBound...]
        guard let slash = rest.firstIndex(of: "/") else { return nil }
        return (String(rest[..<slash]), String(rest[rest.index(after: slash)...]), document)
    }

    private static func isEncrypted(_ bytes: [UInt8]) -> Bool {
        String(decoding: bytes, as: UTF8.self).contains("{cipher}")
    }

    /// As it comes out of JSON; places only where the recording has them.
    private static func comparable(_ properties: [Property], like recorded: [Property]) -> [Property] {
        let hasOrigins = recorded.contains { $0.origin != nil }
        return properties.map { property in
            var property = property
            if !hasOrigins { property.origin = nil }
            switch property.value {
            case .timestamp, .binary: property.value = .string(property.value.text)
            case .double(let number) where !number.isFinite: property.value = .string(property.value.text)
            default: break
            }
            return property
        }
    }

    /// Java keeps the properties of XML files in the order of a hash table: there the order does not count.
    private static func sorted(_ properties: [Property], _ path: String) -> [Property] {
        path.hasSuffix(".xml") ? properties.sorted { $0.key < $1.key } : properties
    }
}
