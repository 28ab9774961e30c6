internal import Autoscaler
internal import Foundation
internal import Options
internal import Settings

/// Reads the conditions of a policy.
enum ScalingConditions {
    static let kinds = ["queue", "window", "resource", "parameter", "forecast"]

    static func read(
        _ reader: inout SettingsReader, _ key: String, policy: String, poll: Seconds, _ sources: inout [QueueSource]
    ) throws(SettingsError) -> ScalingCondition {
        let given = reader.names(below: key)
        guard let kind = given.first, given.count == 1, kinds.contains(kind) else {
            let wrong = given.first { !kinds.contains($0) }
            let near = wrong.flatMap { Spelling.nearest(to: $0, in: kinds) }.map { "; did you mean `\($0)`?" } ?? ""
            throw reader.wrong(key, "needs one of \(kinds.joined(separator: ", "))" + (wrong.map { ", not `\($0)`" } ?? "") + near)
        }
        let inner = key + "." + kind
        switch kind {
        case "queue":
            let (condition, source) = try queue(&reader, inner, policy: policy)
            sources.append(source)
            return .queue(condition)
        case "window": return .window(try window(&reader, inner))
        case "resource":
            guard let name = reader.string(inner + ".name"),
                let target = try ScalingSection.decimal(&reader, inner + ".target", in: 1e-6...1e9)
            else {
                throw reader.wrong(inner, "needs `name`, such as cpu, and `target`, such as 0.7")
            }
            return .resource(ResourceCondition(name: name, target: target))
        case "parameter": return .parameter(try parameter(&reader, inner))
        default:
            guard let season = try ScalingSection.seconds(&reader, inner + ".season", in: 2 * poll...86400 * 31) else {
                throw reader.wrong(inner, "needs `season`, the time after which arrivals come again, such as 1d")
            }
            var forecast = ForecastCondition(season: season)
            forecast.quantile = try ScalingSection.decimal(&reader, inner + ".quantile", in: 0.5...0.999) ?? forecast.quantile
            return .forecast(forecast)
        }
    }

    private static func queue(
        _ reader: inout SettingsReader, _ key: String, policy: String
    ) throws(SettingsError) -> (QueueCondition, QueueSource) {
        let times = 1...86400.0 * 7
        let wait = try ScalingSection.seconds(&reader, key + ".wait", in: times)
        let drain = try ScalingSection.seconds(&reader, key + ".drain", in: times)
        let objective: QueueCondition.Objective
        switch (wait, drain) {
        case (let wait?, nil): objective = .wait(wait)
        case (nil, let drain?): objective = .drain(drain)
        case (nil, nil):
            throw reader.wrong(key, "needs `wait`, the longest that a message may wait, or `drain`, the time in which a backlog is gone")
        case (_?, _?): throw reader.wrong(key, "has both `wait` and `drain`; one of them is the promise")
        }
        let source = try QueueSource(&reader, key)
        let destination = reader.string(key + ".destination") ?? policy
        let partitions = try reader.number(key + ".partitions", in: 1...100_000)
        return (QueueCondition(destination: destination, objective: objective, partitions: partitions), source)
    }

    private static func window(_ reader: inout SettingsReader, _ key: String) throws(SettingsError) -> WindowCondition {
        let zoneName = reader.string(key + ".zone") ?? "UTC"
        guard let zone = TimeZone(identifier: zoneName) else {
            throw reader.wrong(key + ".zone", "is no zone of the IANA list, such as Europe/Berlin: `\(zoneName)`")
        }
        let floor = try reader.number(key + ".floor", in: 0...100_000)
        let ceiling = try reader.number(key + ".ceiling", in: 0...100_000)
        guard floor != nil || ceiling != nil else { throw reader.wrong(key, "needs `floor`, `ceiling` or both") }
        if let floor, let ceiling, floor > ceiling { throw reader.wrong(key + ".floor", "is above `ceiling`") }
        let times: WindowCondition.Times
        if let text = reader.string(key + ".cron") {
            guard let schedule = CronSchedule(text) else {
                throw reader.wrong(
                    key + ".cron",
                    "needs minute, hour, day of the month, month and weekday, such as `0 8 * * 1-5`, that come at some time, not `\(text)`")
            }
            guard let length = try ScalingSection.seconds(&reader, key + ".for", in: 60...86400 * 31) else {
                throw reader.wrong(key, "needs `for`, how long the window is open from each start, such as 10h")
            }
            times = .cron(schedule, length: length)
        } else if let start = reader.string(key + ".start"), let end = reader.string(key + ".end") {
            if let from = minute(start), let to = minute(end) {
                times = .daily(start: from, end: to)
            } else if let from = TimeText.parse(start, in: zone), let to = TimeText.parse(end, in: zone) {
                guard from < to else { throw reader.wrong(key + ".end", "is not behind `start`") }
                times = .once(start: from, end: to)
            } else {
                throw reader.wrong(key, "needs `start` and `end` both as a time of day, 08:00, or both as a date, 2026-11-27T08:00")
            }
        } else {
            throw reader.wrong(key, "needs `cron` with `for`, or `start` with `end`")
        }
        return WindowCondition(times: times, zone: zone, floor: floor, ceiling: ceiling)
    }

    /// `08:30` as minutes of the day. Without quotes YAML 1.1 reads `18:30` as a number to the base of 60, which is the same.
    private static func minute(_ text: String) -> Int? {
        if let number = Int(text) { return (0..<1440).contains(number) ? number : nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, parts[1].count == 2, let hour = Int(parts[0]), let minute = Int(parts[1]),
            (0..<24).contains(hour), (0..<60).contains(minute)
        else { return nil }
        return hour * 60 + minute
    }

    private static func parameter(_ reader: inout SettingsReader, _ key: String) throws(SettingsError) -> ParameterCondition {
        if let name = reader.string(key + ".deadline") {
            guard let floor = try reader.number(key + ".floor", in: 1...100_000) else {
                throw reader.wrong(key, "needs `floor`, how many there are to be at the deadline")
            }
            let ramp = try ScalingSection.seconds(&reader, key + ".ramp", in: 0...86400 * 7) ?? 3600
            let tail = try ScalingSection.seconds(&reader, key + ".tail", in: 0...86400 * 7) ?? 0
            return ParameterCondition(name: name, rule: .deadline(floor: floor, ramp: ramp, tail: tail))
        }
        guard let name = reader.string(key + ".value"),
            let share = try ScalingSection.decimal(&reader, key + ".per-instance", in: 1e-9...1e12)
        else {
            throw reader.wrong(key, "needs `deadline` with `floor`, or `value` with `per-instance`")
        }
        return ParameterCondition(name: name, rule: .amount(share: share))
    }
}
