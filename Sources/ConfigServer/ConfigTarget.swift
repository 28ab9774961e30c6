import ConfigModel
import HTTP

/// What a path asks for.
enum ConfigTarget: Hashable {
    /// `/{app}/{profiles}[/{label}]`
    case environment(Audience)
    /// `[/{label}]/{app}-{profiles}.{yml,yaml,json,properties}`
    case flat(Audience, FlatForm)
    /// `/{app}/{profiles}/{label}/{path…}`, and with `useDefaultLabel` `/{app}/{profiles}/{path}`
    case resource(Audience, path: String)

    enum FlatForm: String, Hashable, CaseIterable {
        case properties, yml, yaml, json
    }

    var audience: Audience {
        switch self {
        case .environment(let audience), .flat(let audience, _), .resource(let audience, _): audience
        }
    }

    /// Reads the segments of a path; nil when nothing is served there. `usesDefaultLabel` is the presence of that parameter.
    init?(_ path: [String], usesDefaultLabel: Bool) {
        guard let last = path.last, !path.prefix(3).contains("") else { return nil }
        switch path.count {
        case 1:
            guard let (audience, form) = Self.file(last, label: nil) else { return nil }
            self = .flat(audience, form)
        case 2:
            if Self.namesFile(last) {
                guard let (audience, form) = Self.file(last, label: path[0]) else { return nil }
                self = .flat(audience, form)
            } else {
                self = .environment(Self.audience(path[0], last, nil))
            }
        case 3 where usesDefaultLabel: self = .resource(Self.audience(path[0], path[1], nil), path: last)
        case 3: self = .environment(Self.audience(path[0], path[1], last))
        default: self = .resource(Self.audience(path[0], path[1], path[2]), path: path[3...].joined(separator: "/"))
        }
    }

    private static func audience(_ application: String, _ profiles: String, _ label: String?) -> Audience {
        Audience(
            applications: application.replacing("(_)", with: "/").split(separator: ",", omittingEmptySubsequences: false).map(String.init),
            profiles: profiles.split(separator: ",", omittingEmptySubsequences: false).map(String.init),
            label: label?.replacing("(_)", with: "/"))
    }

    /// Splits `{app}-{profiles}.{extension}` at the last hyphen.
    private static func file(_ name: String, label: String?) -> (Audience, FlatForm)? {
        guard let dot = name.lastIndex(of: "."), let form = FlatForm(rawValue: String(name[name.index(after: dot)...])),
            let hyphen = name[..<dot].lastIndex(of: "-")
        else { return nil }
        return (audience(String(name[..<hyphen]), String(name[name.index(after: hyphen)..<dot]), label), form)
    }

    /// Whether a second segment is the name of a file and so no list of profiles: one of the extensions, as a word, anywhere in it.
    private static func namesFile(_ segment: String) -> Bool {
        FlatForm.allCases.contains { form in
            segment.ranges(of: "." + form.rawValue).contains { range in
                guard range.upperBound < segment.endIndex else { return true }
                let next = segment[range.upperBound]
                return !(next.isLetter || next.isNumber || next == "_")
            }
        }
    }
}
