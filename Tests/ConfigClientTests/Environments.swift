import ConfigClient
import ConfigModel
import Foundation

/// A snapshot of one source with these values.
func snapshot(_ values: [String: PropertyValue], version: String? = "v1") -> ConfigSnapshot {
    let properties = values.sorted { $0.key < $1.key }.enumerated().map { index, pair in
        Property(key: pair.key, value: pair.value, origin: Origin(line: index + 1, column: 3))
    }
    return ConfigSnapshot(
        ConfigEnvironment(
            name: "app", profiles: ["default"], version: version,
            propertySources: [PropertySource(name: "file:app.yml", properties: properties)]))
}

/// Runs `body` with a fresh folder and removes it.
func withFolder<R>(_ body: (String) async throws -> R) async throws -> R {
    var template = Array("/tmp/carillon-client-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await body(folder)
}
