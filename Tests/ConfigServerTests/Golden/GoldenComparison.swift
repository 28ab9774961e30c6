import ConfigModel
import Foundation
import JSON

/// Compares an answer with a recorded one by meaning, as `golden/config/replay` does.
struct GoldenComparison {
    let request: GoldenCase.Request

    /// What differs; empty when nothing that counts does.
    func differences(_ want: GoldenCase.Answer, _ got: GoldenCase.Answer) -> [String] {
        guard want.status == got.status else { return ["status: \(want.status) != \(got.status) \(got.text.prefix(300))"] }
        if request.method == "HEAD" || want.status == 204 || want.status == 304 { return [] }
        if request.method == "OPTIONS" {
            let (a, b) = (methods(want), methods(got))
            return a == b ? [] : ["allow: \(a.sorted()) != \(b.sorted())"]
        }
        if want.status >= 400 { return errorDifferences(want, got) }
        var result: [String] = []
        let type = media(want)
        if type != media(got) { result.append("content-type: \(type) != \(media(got))") }
        if want.isBinary || got.isBinary {
            if want.body != got.body { result.append("bytes: binary bodies differ") }
            return result
        }
        if want.body != got.body { result += bodyDifferences(want, got, type) }
        if let date = want.headers["last-modified"] {
            if got.headers["last-modified"] == nil {
                result.append("last-modified: missing")
            } else if !date.contains("{{"), date != got.headers["last-modified"] {
                result.append("last-modified: \(date) != \(got.headers["last-modified"] ?? "")")
            }
        }
        return result
    }

    private func methods(_ answer: GoldenCase.Answer) -> Set<String> {
        Set((answer.headers["allow"] ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) })
    }

    private func media(_ answer: GoldenCase.Answer) -> String {
        (answer.headers["content-type"] ?? "").lowercased().replacing(" ", with: "").split(separator: ";").first.map(String.init) ?? ""
    }

    private func errorDifferences(_ want: GoldenCase.Answer, _ got: GoldenCase.Answer) -> [String] {
        guard let a = try? JSONReader.read(want.body), case .object = a else { return [] }
        guard let b = try? JSONReader.read(got.body), case .object = b else {
            return ["error body: want JSON \(want.text), got \(got.text.prefix(200))"]
        }
        return ["status", "error", "path", "description", "message"].compactMap { key in
            guard let value = a[key], value != b[key] else { return nil }
            return "error.\(key): \(value) != \(b[key].map { "\($0)" } ?? "nothing")"
        }
    }

    private func bodyDifferences(_ want: GoldenCase.Answer, _ got: GoldenCase.Answer, _ type: String) -> [String] {
        guard type.contains("json") else {
            return ["text:\n      want \(want.text.debugDescription)\n      got  \(got.text.debugDescription)"]
        }
        guard let a = try? JSONReader.read(want.body), let b = try? JSONReader.read(got.body) else {
            return ["body: \(want.text.prefix(300)) != \(got.text.prefix(300))"]
        }
        if isEnvironment(a), isEnvironment(b) { return environmentDifferences(a, b) }
        if request.path.hasSuffix(".json") || request.path.contains(".json?") {
            return ["flat json:\n      want \(want.text)\n      got  \(got.text)"]
        }
        return same(a, b) ? [] : ["json:\n      want \(want.text.prefix(600))\n      got  \(got.text.prefix(600))"]
    }

    private func isEnvironment(_ value: JSONValue) -> Bool { value["propertySources"] != nil && value["profiles"] != nil }

    private func environmentDifferences(_ want: JSONValue, _ got: JSONValue) -> [String] {
        var result: [String] = []
        for key in ["name", "profiles", "label", "version", "state"] {
            var (a, b) = (want[key] ?? .null, got[key] ?? .null)
            if key == "state" {  // no state and an empty one are the same
                if a == .string("") { a = .null }
                if b == .string("") { b = .null }
            }
            if !same(a, b) { result.append("env.\(key): \(a) != \(b)") }
        }
        let (ours, theirs) = (got["propertySources"]?.items ?? [], want["propertySources"]?.items ?? [])
        let names = (theirs.map { $0["name"]?.string ?? "" }, ours.map { $0["name"]?.string ?? "" })
        guard names.0.count == names.1.count, zip(names.0, names.1).allSatisfy(GoldenSourceName.same) else {
            return result + ["sources: want \(names.0)\n      got  \(names.1)"]
        }
        for (index, pair) in zip(theirs, ours).enumerated() {
            guard case .object(let a)? = pair.0["source"], case .object(let b)? = pair.1["source"] else {
                result.append("\(names.0[index]): no source")
                continue
            }
            let mine = Dictionary(b.map { ($0.name, $0.value) }) { $1 }
            let wanted = Dictionary(a.map { ($0.name, $0.value) }) { $1 }
            for key in Set(mine.keys).union(wanted.keys).sorted() {
                switch (wanted[key], mine[key]) {
                case (let a?, let b?): if !same(a, b) { result.append("\(names.0[index]): \(key): \(a) != \(b)") }
                case (nil, _): result.append("\(names.0[index]): key \(key) is only ours")
                case (_, nil): result.append("\(names.0[index]): key \(key) is missing")
                }
            }
        }
        return result
    }

    /// Equality that tells 1 from 1.0, "1" and true; the order of keys does not count.
    private func same(_ a: JSONValue, _ b: JSONValue) -> Bool {
        switch (a, b) {
        case (.number(let x), .number(let y)):
            let isReal = { (text: String) in text.contains { $0 == "." || $0 == "e" || $0 == "E" } }
            return isReal(x) == isReal(y) && (isReal(x) ? Double(x) == Double(y) : x == y)
        case (.array(let x), .array(let y)): return x.count == y.count && zip(x, y).allSatisfy(same)
        case (.object(let x), .object(let y)):
            let other = Dictionary(y.map { ($0.name, $0.value) }) { $1 }
            return Set(x.map(\.name)) == Set(other.keys)
                && x.allSatisfy { field in other[field.name].map { same(field.value, $0) } ?? false }
        default: return a == b
        }
    }
}

/// Names of sources of files with several documents hold a folder of the recorded server: prefix, file name and number count.
enum GoldenSourceName {
    static func same(_ a: String, _ b: String) -> Bool {
        if a == b { return true }
        guard let x = parts(a), let y = parts(b) else { return false }
        return x.file == y.file && x.document == y.document && (x.prefix.hasPrefix(y.prefix) || y.prefix.hasPrefix(x.prefix))
    }

    private static func parts(_ name: String) -> (prefix: String, file: String, document: String)? {
        if let match = name.firstMatch(of: #/^(.*?)Config resource 'file \[(.*?)\]?' via location '.*?'( ?\(document #\d+\))?$/#) {
            let prefix = String(match.1).replacing(#/\/+$/#, with: "")
            return (
                prefix, String(match.2).split(separator: "/").last.map(String.init) ?? "",
                (match.3 ?? "").trimmingCharacters(in: .whitespaces)
            )
        }
        if let match = name.firstMatch(of: #/^(.*) (\(document #\d+\))$/#) {
            let path = String(match.1)
            let slash = path.lastIndex(of: "/")
            return (
                slash.map { String(path[..<$0]) } ?? path, slash.map { String(path[path.index(after: $0)...]) } ?? path, String(match.2)
            )
        }
        return nil
    }
}
