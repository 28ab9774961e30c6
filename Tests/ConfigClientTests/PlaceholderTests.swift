import ConfigClient
import Testing

struct PlaceholderTests {
    @Test(arguments: [
        ("plain", "plain"), ("${a}", "1"), ("x${a}y${b}z", "x1y2z"), ("${none}", "${none}"), ("${none:d}", "d"), ("${none:}", ""),
        ("${none:${a}}", "1"), ("${none:${other:x:y}}", "x:y"), ("${k${a}}", "nested"), ("\\${a}", "${a}"), ("${a", "${a"),
        ("$a }", "$a }"),
        ("${chain}", "<1>"), ("${round}", "${round}"), ("${with:colon}", "7"), ("${}", "${}"), ("${none:{x}}", "{x}"), ("é${a}", "é1"),
    ])
    func `placeholders follow Spring's rules`(_ text: String, _ expected: String) {
        let values = [
            "a": "1", "b": "2", "k1": "nested", "chain": "<${a}>", "round": "${round2}", "round2": "${round}", "with:colon": "7",
        ]
        #expect(PlaceholderResolver { values[$0] }.resolve(text) == expected)
    }

    @Test func `values that grow without end are cut off`() {
        // Each names the next twice: 2⁴⁰ bytes if nothing stopped it.
        var values = Dictionary(uniqueKeysWithValues: (0..<40).map { ("k\($0)", "${k\($0 + 1)}${k\($0 + 1)}") })
        values["k40"] = "x"
        let resolver = PlaceholderResolver { [values] in values[$0] }
        #expect(resolver.resolve("${k0}").utf8.count < 4 << 20)
    }
}
