package import ConfigModel
public import FoundationEssentials
package import Settings

extension FunctionSettings {
    /// Reads a YAML file; `binder:` there may be overridden by `CARILLON_BINDER`, `bindings.charge-in-0.group` by
    /// `CARILLON_BINDINGS_CHARGE_IN_0_GROUP`, and so on. Throws for an unknown key, naming the nearest known one, and for a value that cannot be used.
    ///
    /// ```yaml
    /// application: billing
    /// binder: amqp://guest:guest@localhost:5672
    /// server: {port: 8080}
    /// bindings:
    ///   charge-in-0: {destination: orders, group: billing, concurrency: 4, attempts: 3, back-off: 1s}
    ///   charge-out-0: {destination: receipts, required-groups: [ledger]}
    /// ```
    public static func file(
        _ path: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(FunctionError) -> FunctionSettings {
        do throws(SettingsError) {
            return try FunctionSettings(file: path, properties: SettingsFile.properties(of: path), environment: environment)
        } catch {
            throw FunctionError(.settings, error.message)
        }
    }

    package init(file: String, properties: [Property], environment: [String: String] = [:]) throws(SettingsError) {
        self.init()
        var reader = SettingsReader(file: file, properties: properties, environment: environment, commandLine: [:])
        application = reader.string("application") ?? application
        functions = (reader.strings("functions") ?? []).flatMap { $0.split(separator: ";") }.map { $0.filter { $0 != " " } }
        serves = reader.has("server")
        shared.server = try CarillonSettings.server(&reader)
        shared.security = try CarillonSettings.security(&reader)
        shared.binder = reader.string("binder", secret: true)
        shared.binders = try CarillonSettings.brokers(&reader)
        shared.log = try reader.choice("log.level", CarillonSettings.LogLevel.self) ?? shared.log
        for name in reader.names(below: "bindings") {
            let key = "bindings.\(name)"
            if BindingName(name)?.isInput == true {
                inputs[name] = try InputBinding(key, &reader)
            } else {
                outputs[name] = try OutputBinding(key, &reader)
            }
        }
        try reader.refuseUnknown()
    }
}

/// `charge-in-0`, `charge-out-0`.
struct BindingName: Hashable {
    let function: String
    let isInput: Bool
    let index: Int

    /// Nil for a name of another form.
    init?(_ name: String) {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 3, let index = Int(parts[parts.count - 1]), index >= 0, ["in", "out"].contains(parts[parts.count - 2]) else {
            return nil
        }
        function = parts.dropLast(2).joined(separator: "-")
        isInput = parts[parts.count - 2] == "in"
        self.index = index
    }
}

extension InputBinding {
    init(_ key: String, _ reader: inout SettingsReader) throws(SettingsError) {
        self.init()
        destinations = Self.list(reader.strings(key + ".destination"))
        guard !destinations.isEmpty else { throw reader.wrong(key, "needs a `destination`") }
        group = reader.string(key + ".group").flatMap { $0.isEmpty ? nil : $0 }
        binder = reader.string(key + ".binder")
        concurrency = try reader.number(key + ".concurrency", in: 1...1000) ?? concurrency
        attempts = try reader.number(key + ".attempts", in: 1...1000) ?? attempts
        backOff = try reader.duration(key + ".back-off") ?? backOff
        longestBackOff = max(backOff, try reader.duration(key + ".back-off-max") ?? longestBackOff)
        if let text = reader.string(key + ".multiplier") {
            guard let number = Double(text), (1...100).contains(number) else {
                throw reader.wrong(key + ".multiplier", "needs a number from 1 to 100, not `\(text)`")
            }
            multiplier = number
        }
        deadLetters = try reader.flag(key + ".dead-letters") ?? deadLetters
        if let text = reader.string(key + ".on-failure") {
            guard let policy = FailurePolicy(rawValue: text) else {
                let all = FailurePolicy.allCases.map(\.rawValue).joined(separator: ", ")
                throw reader.wrong(key + ".on-failure", "needs one of \(all), not `\(text)`")
            }
            onFailure = policy
        }
        if reader.has(key + ".batch") {
            batch = Batch(
                size: try reader.number(key + ".batch.size", in: 1...10_000) ?? Batch().size,
                wait: try reader.duration(key + ".batch.wait") ?? Batch().wait)
        }
        prefetch = try reader.number(key + ".prefetch", in: 1...10_000) ?? prefetch
        partitionCount = try reader.number(key + ".partition-count", in: 1...100_000)
        partitions = try Self.partitions(key, partitionCount, &reader)
        contentType = reader.string(key + ".content-type") ?? contentType
        switch reader.string(key + ".start") {
        case nil, "latest": start = .latest
        case "earliest": start = .earliest
        case let other?: throw reader.wrong(key + ".start", "needs latest or earliest, not `\(other)`")
        }
        startsByItself = try reader.flag(key + ".auto-start") ?? startsByItself
    }

    /// The partitions of this instance: its index, or where there are fewer instances than partitions, every `instance-count`th.
    private static func partitions(
        _ key: String, _ count: Int?, _ reader: inout SettingsReader
    ) throws(SettingsError) -> [Int] {
        let isPartitioned = try reader.flag(key + ".partitioned") ?? false
        let indexes = reader.strings(key + ".instance-index")
        let instances = try reader.number(key + ".instance-count", in: 1...100_000)
        guard isPartitioned else {
            guard indexes == nil, instances == nil, count == nil else {
                throw reader.wrong(key + ".instance-index", "is for inputs with `partitioned: true`")
            }
            return []
        }
        var own: [Int] = []
        for text in list(indexes ?? ["0"]) {
            guard let index = Int(text), index >= 0, index < instances ?? .max else {
                throw reader.wrong(key + ".instance-index", "needs a number from 0 to below `instance-count`, not `\(text)`")
            }
            own.append(index)
        }
        guard let count, let instances else { return own }
        return (0..<count).filter { own.contains($0 % instances) }
    }

    /// Items of a list, and of texts with commas.
    static func list(_ texts: [String]?) -> [String] {
        (texts ?? []).flatMap { $0.split(separator: ",") }.map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
    }
}

extension OutputBinding {
    init(_ key: String, _ reader: inout SettingsReader) throws(SettingsError) {
        guard let destination = reader.string(key + ".destination"), !destination.isEmpty else {
            throw reader.wrong(key, "needs a `destination`")
        }
        self.init(destination)
        binder = reader.string(key + ".binder")
        contentType = reader.string(key + ".content-type")
        partitionCount = try reader.number(key + ".partition-count", in: 1...100_000) ?? partitionCount
        partitionKey = reader.string(key + ".partition-key").map { $0.hasPrefix("/") ? .payload($0) : .header($0) }
        requiredGroups = InputBinding.list(reader.strings(key + ".required-groups"))
    }
}
