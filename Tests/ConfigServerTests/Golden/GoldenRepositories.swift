import ConfigModel
import Foundation
import JSON
import TestSupport

/// Builds the repositories of a case with `git`: the commits get the ids that were recorded.
struct GoldenRepositories {
    let source: URL
    let root: URL
    /// 2024-01-01T00:00:00Z; each step an hour later.
    private let epoch = 1_704_067_200

    func make(phase: Int = 1) throws {
        let files = FileManager.default
        guard let names = try? files.contentsOfDirectory(atPath: source.path) else { return }
        for name in names.sorted() {
            let from = source.appendingPathComponent(name)
            let history = from.appendingPathComponent("history.json")
            if files.fileExists(atPath: history.path) {
                try make(from, root.appendingPathComponent(name), try GoldenCase.json(history), phase)
            } else if phase == 1 {
                let target = root.appendingPathComponent(name)
                try copy(from, target)
                for path in files.subpaths(atPath: target.path) ?? [] {
                    try files.setAttributes(
                        [.modificationDate: Date(timeIntervalSince1970: Double(epoch))],
                        ofItemAtPath: target.appendingPathComponent(path).path)
                }
            }
        }
    }

    private func make(_ from: URL, _ target: URL, _ history: JSONValue, _ phase: Int) throws {
        let initial = history["initial"]?.string ?? "main"
        if !FileManager.default.fileExists(atPath: target.appendingPathComponent(".git").path) {
            try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
            try git(target, ["init", "-q", "-b", initial])
        }
        var made = Set(
            try git(target, ["for-each-ref", "--format=%(refname:short)", "refs/heads"]).split(separator: "\n").map(String.init))
        var isFirst = made.isEmpty
        for (number, step) in (history["steps"]?.items ?? []).enumerated() where (step["phase"]?.integer ?? 1) == phase {
            let when = epoch + 3600 * number
            if let branch = step["deleteBranch"]?.string {
                try git(target, ["branch", "-D", branch])
                continue
            }
            if let branch = step["branch"]?.string {
                let start = step["from"]?.string
                if isFirst {
                    try git(target, ["symbolic-ref", "HEAD", "refs/heads/\(branch)"])
                } else if made.contains(branch) {
                    try git(target, ["checkout", "-q", "-f", branch])
                } else if start == "" {
                    try git(target, ["checkout", "-q", "--orphan", branch])
                    try git(target, ["rm", "-rfq", "--cached", "."])
                    try git(target, ["clean", "-fdxq"])
                } else {
                    try git(target, ["checkout", "-q", "-f", "-b", branch] + (start.map { [$0] } ?? []))
                }
                made.insert(branch)
                isFirst = false
            }
            for path in step["delete"]?.items.compactMap(\.string) ?? [] { try git(target, ["rm", "-rq", path]) }
            if let folder = step["folder"]?.string { try copy(from.appendingPathComponent(folder), target) }
            if let message = step["message"]?.string {
                try git(target, ["add", "-A", "-f"])
                try git(target, ["commit", "-q", "--allow-empty", "-m", message], when: when)
            }
            if let tag = step["tag"]?.string {
                try git(target, ["tag"] + (step["annotated"] == .boolean(true) ? ["-a", "-m", tag] : []) + [tag], when: when)
            }
        }
        try git(target, ["checkout", "-q", "-f", history["head"]?.string ?? initial])
    }

    /// Over what is there, all of it writable.
    private func copy(_ from: URL, _ target: URL) throws {
        let files = FileManager.default
        try files.createDirectory(at: target, withIntermediateDirectories: true)
        for path in files.subpaths(atPath: from.path) ?? [] {
            let source = from.appendingPathComponent(path)
            let destination = target.appendingPathComponent(path)
            if try source.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true {
                try files.createDirectory(at: destination, withIntermediateDirectories: true)
            } else {
                try? files.removeItem(at: destination)
                try files.createDirectory(at: destination.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(contentsOf: source).write(to: destination)
            }
        }
    }

    @discardableResult
    func git(_ folder: URL, _ arguments: [String], when: Int? = nil) throws -> String {
        String(decoding: try Self.git(folder, arguments, when: when), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    static func git(_ folder: URL, _ arguments: [String], when: Int? = nil) throws -> Data {
        let process = SpawnedProcess()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            ["git", "-C", folder.path]
            + ["core.autocrlf=false", "core.fileMode=false", "commit.gpgsign=false", "tag.gpgsign=false", "advice.detachedHead=false"]
            .flatMap { ["-c", $0] } + arguments
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("GIT_") }
        environment.merge([
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C", "TZ": "UTC",
        ]) {
            $1
        }
        if let when {
            for who in ["AUTHOR", "COMMITTER"] {
                environment["GIT_\(who)_NAME"] = "Golden"
                environment["GIT_\(who)_EMAIL"] = "golden@example.test"
                environment["GIT_\(who)_DATE"] = "\(when) +0000"
            }
        }
        process.environment = environment
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        let trouble = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw GitFailed(arguments: arguments, message: String(decoding: trouble, as: UTF8.self))
        }
        return data
    }

    struct GitFailed: Error, CustomStringConvertible {
        let arguments: [String]
        let message: String
        var description: String { "git \(arguments.joined(separator: " ")): \(message)" }
    }
}
