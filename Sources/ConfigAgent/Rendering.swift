import ConfigClient
import ConfigModel
import Files
import Foundation
import Glibc
import PropertyFormats
import ThreadExecutor

/// A file could not be rendered or checked. Never holds a value.
struct RenderingError: Error, CustomStringConvertible {
    let description: String
}

/// Makes the agent's files from a snapshot. Blocks: it runs on the agent's disk thread.
enum Rendering {
    private static let templateLimit = 16 << 20

    /// The bytes of one file. Throws for a template that cannot be read, or that names a key without value and default.
    static func bytes(of file: RenderedFile, _ snapshot: ConfigSnapshot) throws(RenderingError) -> [UInt8] {
        switch file.content {
        case .environment: return Array(EnvironmentVariables(snapshot).dotenv.utf8)
        case .configuration(.properties):
            return Array(JavaPropertiesText.write(snapshot.entries(under: "").map { Property(key: $0.key, value: $0.value) }).utf8)
        case .configuration(let format): return try FlatFile.bytes(snapshot, format)
        case .template(let path):
            guard let data = FileManager.default.contents(atPath: path) else {
                throw RenderingError(description: "the template \(path) cannot be read: \(String(cString: strerror(errno)))")
            }
            guard data.count <= templateLimit, let text = String(data: data, encoding: .utf8) else {
                throw RenderingError(description: "the template \(path) is no text in UTF-8, or longer than \(templateLimit) bytes")
            }
            return try Array(template(text, path, snapshot).utf8)
        }
    }

    static func template(_ text: String, _ path: String, _ snapshot: ConfigSnapshot) throws(RenderingError) -> String {
        var missing: [String] = []
        let result: String
        do {
            result = try Placeholders.resolve(text, missing: &missing) { snapshot.entry($0)?.served.text }
        } catch {
            throw RenderingError(description: "the template \(path) cannot be filled in: \(error.description)")
        }
        guard missing.isEmpty else {
            var names: [String] = []
            for name in missing where !names.contains(name) && names.count < 5 { names.append(String(name.prefix(100))) }
            throw RenderingError(
                description: "the template \(path) names what has no value: \(names.joined(separator: ", ")); "
                    + "give it one, write ${\(names.first ?? "key"):default}, or \\${ where the text itself is meant")
        }
        return result
    }

    /// All files of the configuration, written beside their places. Throws before any of them stands at its place.
    static func stage(_ files: [RenderedFile], _ snapshot: ConfigSnapshot) throws -> StagedFiles {
        var staged = StagedFiles()
        do {
            for file in files {
                let bytes = try bytes(of: file, snapshot)
                let isChanged = FileManager.default.contents(atPath: file.path).map { Array($0) != bytes } ?? true
                staged.files.append(
                    StagedFiles.Item(staged: try PrivateFile.stage(bytes, for: file.path, mode: mode_t(file.mode)), isChanged: isChanged))
            }
        } catch {
            staged.discard()
            throw error
        }
        return staged
    }
}

/// Files that are written and not in place yet.
struct StagedFiles: Sendable {
    struct Item: Sendable {
        let staged: PrivateFile.Staged
        /// Whether the file in place has another content.
        let isChanged: Bool
    }
    var files: [Item] = []

    var hasChanges: Bool { files.contains { $0.isChanged } }
    var paths: [String] { files.map(\.staged.temporary) }

    /// Puts all in place that changed.
    func commit() throws {
        for (index, file) in files.enumerated() {
            guard file.isChanged else {
                file.staged.discard()
                continue
            }
            do {
                try file.staged.commit()
            } catch {
                for file in files[(index + 1)...] { file.staged.discard() }
                throw error
            }
        }
    }

    func discard() { for file in files { file.staged.discard() } }
}
