package import Autoscaler

/// A simulation as a picture: arrivals, backlog and instances over time, in the terminal or as SVG.
package struct SimulationChart: Sendable {
    private let samples: [Simulation.Sample]
    private let poll: Seconds
    private let width: Int

    package init(_ samples: [Simulation.Sample], poll: Seconds, width: Int = 72) {
        self.samples = samples
        self.poll = poll
        self.width = max(8, width)
    }

    private struct Series {
        var name: String
        var values: [Double]
        var highest: Double { values.max() ?? 0 }
    }

    private var series: [Series] {
        var arrivals: [Double] = []
        var before: Simulation.Sample?
        for sample in samples {
            let interval = before.map { sample.time - $0.time } ?? 0
            arrivals.append(interval > 0 ? Double(sample.arrived - (before?.arrived ?? 0)) / interval : 0)
            before = sample
        }
        return [
            Series(name: "arrivals/s", values: arrivals),
            Series(name: "backlog", values: samples.map { Double($0.backlog ?? 0) }),
            Series(name: "instances", values: samples.map { Double($0.desired) }),
        ]
    }

    /// One line of blocks for each series; a column shows the highest value of its time.
    package var text: String {
        let blocks: [Character] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        guard let first = samples.first, let last = samples.last else { return "" }
        var text = ""
        for one in series {
            let columns = Self.columns(one.values, width)
            let line = columns.map { value -> Character in
                guard one.highest > 0, value > 0 else { return blocks[0] }
                return blocks[min(8, max(1, Int((value / one.highest * 8).rounded(.up))))]
            }
            text += one.name.padded(to: 10) + " │" + String(line) + "│ up to \(Int(one.highest.rounded()))\n"
        }
        let length = SimulationText.duration(last.time - first.time)
        return text + String(repeating: " ", count: 11) + "0 " + String(repeating: " ", count: max(0, columnsUsed - length.count - 1))
            + length + "\n"
    }

    private var columnsUsed: Int { min(width, samples.count) }

    private static func columns(_ values: [Double], _ width: Int) -> [Double] {
        guard values.count > width else { return values }
        return (0..<width).map { column in
            values[(column * values.count / width)..<max(column * values.count / width + 1, (column + 1) * values.count / width)].max() ?? 0
        }
    }

    /// A drawing that any browser shows.
    package func svg(title: String) -> String {
        let size = (width: 960.0, panel: 150.0, left: 70.0, top: 40.0)
        let colors = ["#1f6f8b", "#c0392b", "#2e7d32"]
        let panels = series
        let height = size.top + Double(panels.count) * (size.panel + 30) + 10
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(size.width)) \(Int(height))" font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="white"/>
            <text x="\(Int(size.left))" y="22" font-size="15">\(Self.escaped(title))</text>

            """
        let begin = samples.first?.time ?? 0
        let span = max(1e-9, (samples.last?.time ?? 0) - begin)
        for (index, panel) in panels.enumerated() {
            let top = size.top + Double(index) * (size.panel + 30)
            let plot = size.width - size.left - 20
            let scale = panel.highest > 0 ? size.panel / panel.highest : 0
            var path = ""
            var last: Double?
            for (sample, value) in zip(samples, panel.values) {
                let x = Self.short(size.left + (sample.time - begin) / span * plot)
                let y = Self.short(top + size.panel - value * scale)
                // Counts stand until they change: steps, not slopes.
                if index == panels.count - 1, let last { path += "L\(x) \(Self.short(last)) " }
                path += (path.isEmpty ? "M" : "L") + "\(x) \(y) "
                last = top + size.panel - value * scale
            }
            text += """
                <line x1="\(Int(size.left))" y1="\(Int(top + size.panel))" x2="\(Int(size.width - 20))" y2="\(Int(top + size.panel))" stroke="#999"/>
                <text x="\(Int(size.left - 8))" y="\(Int(top + 10))" text-anchor="end">\(Int(panel.highest.rounded()))</text>
                <text x="\(Int(size.left - 8))" y="\(Int(top + size.panel))" text-anchor="end">0</text>
                <text x="\(Int(size.left))" y="\(Int(top + size.panel + 16))" fill="\(colors[index])">\(panel.name)</text>
                <path d="\(path)" fill="none" stroke="\(colors[index])" stroke-width="1.2"/>

                """
        }
        let bottom = size.top + Double(panels.count) * (size.panel + 30) - 14
        text +=
            "<text x=\"\(Int(size.width - 20))\" y=\"\(Int(bottom))\" text-anchor=\"end\">\(SimulationText.duration(span))</text>\n</svg>\n"
        return text
    }

    private static func short(_ value: Double) -> String { SimulationText.decimal(value) }

    private static func escaped(_ text: String) -> String {
        text.map { character in
            switch character {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            default: String(character)
            }
        }.joined()
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
