import ConfigModel
import Testing

@Suite struct EnvironmentContentTests {
    private func environment(_ sources: [[(String, PropertyValue)]]) -> ConfigEnvironment {
        ConfigEnvironment(
            name: "a", profiles: ["p"],
            propertySources: sources.enumerated().map { number, properties in
                PropertySource(name: "s\(number)", properties: properties.map { Property(key: $0.0, value: $0.1) })
            })
    }

    @Test func `the hash is of what is merged: neither sources nor places nor overridden values count`() {
        let one = environment([[("a", .integer(1))], [("a", .integer(2)), ("b", .string("x"))]])
        let same = environment([[("b", .string("x")), ("a", .integer(1))]])
        #expect(one.contentHash == same.contentHash)
        #expect(one.contentHash.utf8.count == 64)
        #expect(one.contentHash != environment([[("a", .string("1")), ("b", .string("x"))]]).contentHash)
        #expect(environment([[("a", .string("bc"))]]).contentHash != environment([[("ab", .string("c"))]]).contentHash)
    }

    @Test func `server and client compute the same hash, whichever form the answer had`() throws {
        let environment = environment([
            [
                ("t", .timestamp(milliseconds: 1_706_659_200_000)), ("b", .binary([1, 2, 3])), ("i", .double(.infinity)),
                ("n", .double(.nan)),
                ("d", .double(1e8)), ("z", .double(-0.0)), ("l[0]", .integer("123456789012345678901234567890")), ("o", .boolean(true)),
                ("s", .string("ü")),
            ]
        ])
        for form in EnvironmentJSON.Form.allCases {
            let received = try EnvironmentJSON.decode(EnvironmentJSON.encode(environment, as: form))
            #expect(received.contentHash == environment.contentHash)
            #expect(received.changedKeys(since: environment) == [])
        }
    }

    @Test func `changed keys are those that came, went or have another value`() {
        let old = environment([
            [("same", .integer(1)), ("other", .integer(1)), ("gone", .integer(1)), ("type", .integer(1)), ("nan", .double(.nan))]
        ])
        let new = environment([
            [("same", .integer(1)), ("other", .integer(2)), ("come", .integer(1)), ("type", .string("1")), ("nan", .double(.nan))]
        ])
        #expect(new.changedKeys(since: old) == ["come", "gone", "other", "type"])
        #expect(old.changedKeys(since: nil) == ["gone", "nan", "other", "same", "type"])
        #expect(old.changedKeys(since: old) == [])
    }

    @Test func `a list is replaced as a whole by the highest source that has any of it`() {
        let environment = environment([
            [("l[1]", .string("one")), ("m.k[0].a", .integer(9))],
            [("l[0]", .string("a")), ("l[1]", .string("b")), ("l[2]", .string("c")), ("m.k[0].b", .integer(8)), ("m.x", .integer(1))],
        ])
        #expect(environment.merged == ["l[1]": .string("one"), "m.k[0].a": .integer(9), "m.x": .integer(1)])
    }

    @Test func `merged in order: plain keys from the lowest source up, then lists, without spring profiles`() {
        let environment = environment([
            [("port", .integer(2)), ("hosts[0]", .string("x")), ("own", .integer(1)), ("spring.profiles", .string("x"))],
            [
                ("hosts[0]", .string("a")), ("hosts[1]", .string("b")), ("port", .integer(1)), ("base", .integer(1)),
                ("other[0]", .integer(1)),
            ],
        ])
        #expect(
            environment.mergedInOrder.map { "\($0.key)=\($0.value.text)" } == ["port=2", "base=1", "own=1", "hosts[0]=x", "other[0]=1"])
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000+00:00", 4), (1_706_659_200_000, "2024-01-31T00:00:00.000+00:00", 3),
        (-1, "1969-12-31T23:59:59.999+00:00", 3),
        (951_782_400_123, "2000-02-29T00:00:00.123+00:00", 2), (-62_135_596_800_000, "0001-01-01T00:00:00.000+00:00", 1),
    ])
    func `times are told in UTC`(milliseconds: Int64, text: String, weekday: Int) {
        #expect(PropertyValue.timestamp(milliseconds: milliseconds).text == text)
        #expect(ISOTime(milliseconds: milliseconds).weekday == weekday)
    }
}
