import Autoscaler
import ConfigModel
import Foundation
import JSON
import Options
import ScalingFormats

/// `carillon simulate --decisions`: what was recorded live, decided again.
enum Redecide {
    /// Exit code 0: the same decisions; 1: others.
    static func run(_ policy: ScalingPolicy, _ invocation: Invocation, _ terminal: Terminal) throws -> Int32 {
        for option in ["history", "against", "rate", "start", "svg"] where invocation.has(option) {
            throw Failure("`--decisions` has its own times and counts: leave out `--\(option)`", code: 2)
        }
        guard let path = invocation.value("decisions"), let data = FileManager.default.contents(atPath: path) else {
            throw Failure("the decisions in \(invocation.value("decisions") ?? "") cannot be read; is the path right?", code: 2)
        }
        var recorded: [Decision] = []
        do {
            for value in try JSONReader.read(Array(data)).items { recorded.append(try DecisionJSON.read(value)) }
        } catch { throw Failure("\(path) is no list of decisions: \(error)", code: 2) }
        guard !recorded.isEmpty else { throw Failure("\(path) has no decisions", code: 2) }
        let decided = replay(recorded, by: policy)
        let different = zip(recorded, decided).filter { $0.0.desired != $0.1.desired || $0.0.outcome != $0.1.outcome }
        if invocation.has("json") {
            var writer = JSONWriter()
            writer.raw("[")
            for (index, decision) in decided.enumerated() {
                if index > 0 { writer.raw(",\n") }
                DecisionJSON.write(decision, to: &writer)
            }
            writer.raw("]")
            terminal.print(String(decoding: writer.bytes, as: UTF8.self))
        } else {
            for (old, new) in different {
                terminal.print("\(TimeText.render(old.time)): \(old.desired) was decided, now \(new.desired): \(new.because)")
            }
            terminal.print("\(recorded.count - different.count) of \(recorded.count) decisions are the same")
        }
        return different.isEmpty ? 0 : 1
    }
}
