import ConfigModel
import Foundation
import PropertyFormats
import TestSupport
import Testing

/// Files that nobody means well with: each ends, soon, in documents or in an error.
@Suite struct HostileFilesTests {
    /// SplitMix64: the same files in each run.
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    private static let options = PropertyFile.Options(maximumSize: 1 << 20, maximumExpandedSize: 1 << 20)

    private func play(_ bytes: [UInt8], _ format: PropertyFile.Format, _ name: String) {
        let clock = ContinuousClock()
        let time = clock.measure {
            guard let documents = try? PropertyFile.parse(bytes, as: format, path: name, options: Self.options) else { return }
            let sources = documents.map { PropertySource(name: name, properties: $0.properties) }
            let flat = FlatEnvironment(ConfigEnvironment(name: "t", profiles: [], propertySources: sources))
            _ = try? flat.yamlText(resolvingPlaceholders: true)
            _ = try? flat.jsonText(resolvingPlaceholders: true)
            _ = try? flat.propertiesText(resolvingPlaceholders: true)
        }
        #expect(time < .seconds(20), "\(name) of \(bytes.count) bytes took \(time)")
    }

    private static func seeds(_ ending: String) -> [[UInt8]] {
        let folder = GoldenFolder.url("config/corpus")
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: folder.path)) ?? []
        return paths.filter { $0.hasSuffix(ending) }.sorted().compactMap {
            (try? Data(contentsOf: folder.appending(path: $0))).map(Array.init)
        }
    }

    private static let words = [
        "${", "}", "- ", ": ", "? ", "&a ", "*a", "<<: ", "!!str ", "!!binary ", "!!set ", "!!omap ", "|", ">", "\n", "  ", "\t", "[", "]",
        "{", "}", ",", "'", "\"",
        "\\", "#", "---\n", "...\n", "%YAML 1.1\n", "\\u12", "\\uD83D", "=", "!---\n", "[]", "[0]", "[99999999]", "a", "b.c", "0x", "1e9",
        "\u{FEFF}", "\u{85}",
    ].map { Array($0.utf8) }

    private func mutate(_ seed: [UInt8], _ random: inout Seeded) -> [UInt8] {
        var bytes = Array(seed.prefix(2000))
        for _ in 0...Int.random(in: 0..<6, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: if place < bytes.count { bytes[place] = UInt8.random(in: 0...255, using: &random) }
            case 1: if place < bytes.count { bytes.remove(at: place) }
            case 2: bytes.insert(contentsOf: Self.words.randomElement(using: &random) ?? [], at: place)
            case 3: bytes.removeSubrange(place...)
            default:
                let length = min(Int.random(in: 0..<40, using: &random), bytes.count - place)
                bytes.insert(contentsOf: Array(bytes[place..<(place + length)]), at: Int.random(in: 0...bytes.count, using: &random))
            }
        }
        return bytes
    }

    @Test(arguments: [(PropertyFile.Format.yaml, ".yml", 6000), (.properties, ".properties", 3000), (.xml, ".xml", 1000)])
    func `mutated files trap nothing`(format: PropertyFile.Format, ending: String, count: Int) throws {
        let seeds = Self.seeds(ending)
        try #require(!seeds.isEmpty)
        var random = Seeded(state: 20_261_125)
        for number in 0..<count { play(mutate(seeds[number % seeds.count], &random), format, "mutated \(number)\(ending)") }
    }

    @Test(arguments: PropertyFile.Format.allCases)
    func `random words and bytes trap nothing`(format: PropertyFile.Format) {
        var random = Seeded(state: 7)
        for number in 0..<1500 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<60, using: &random) {
                if number % 3 == 0 {
                    bytes.append(UInt8.random(in: 0...255, using: &random))
                } else {
                    bytes += Self.words.randomElement(using: &random) ?? []
                }
            }
            play(bytes, format, "random \(number)")
        }
    }

    @Test(arguments: [
        "[", "{", "- ", "? ", "a: ", "a:\n ", "&a ", "!!str ", "*a ", "'", "\"", "| ", "\\", "#", "a: 1\n", "- a\n", "{a: ", "[a, ",
        "---\n", "--- a\n", "? [", "\t", "\r", " ", "${",
        "<<: ", "a\\\n", "#---\n", "a[]=1,", "<!--", "<entry>", "&amp;", "a[9]=", "a.", "[0]",
    ])
    func `the same thing over and over ends in time`(word: String) {
        for format in PropertyFile.Format.allCases {
            play(Array(String(repeating: word, count: 20_000 / word.utf8.count).utf8), format, "\(word.debugDescription) over and over")
        }
    }
}
