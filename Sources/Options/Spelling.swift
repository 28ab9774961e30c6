/// Finds what somebody who misspelt a name most likely meant.
package enum Spelling {
    /// The known name with the fewest edits to `name`, if they are few for its length.
    package static func nearest(to name: String, in known: [String]) -> String? {
        let allowed = max(1, name.count / 3)
        return known.map { ($0, distance(name.lowercased(), $0.lowercased())) }
            .filter { $0.1 <= allowed }
            .min { $0.1 < $1.1 }?.0
    }

    /// Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours.
    static func distance(_ left: String, _ right: String) -> Int {
        let a = Array(left)
        let b = Array(right)
        var rows = [Array(0...b.count)]
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }
}
