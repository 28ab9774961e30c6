import ConfigModel
import Testing

@Suite struct ProfileExpressionTests {
    @Test(arguments: [
        ("a", ["a"], true), ("a", ["b"], false), ("!a", ["b"], true), ("!a", ["a"], false), ("a & b", ["a"], false),
        ("a & b", ["b", "a"], true),
        ("a|b", ["b"], true), ("!a & (b | c)", ["c"], true), ("!a & (b | c)", ["a", "c"], false), ("(dev | prod) & !cloud", ["dev"], true),
        ("(dev | prod) & !cloud", ["dev", "cloud"], false), ("!(a | b)", ["c"], true), ("!!a", ["a"], true), ("((a))", ["a"], true),
        ("dev &", ["dev"], true), ("dev &", ["x"], false), (" two words ", ["two words"], true), ("A", ["a"], false),
        ("a & b & c", ["a", "b", "c"], true),
        ("!a & !b", [], true), ("a | b | c", ["c"], true), ("(a & b) | c", ["c"], true), ("my-app.v1_x", ["my-app.v1_x"], true),
    ])
    func `a condition holds for the profiles that it names`(text: String, profiles: [String], holds: Bool) throws {
        #expect(try ProfileExpression(text).matches(profiles) == holds)
    }

    @Test(arguments: [
        "", " ", "a & b | c", "a | b & c", "()", "&", "!", "a & ()", String(repeating: "(", count: 10_000),
        String(repeating: "!", count: 10_000),
    ])
    func `what is no condition is refused`(text: String) {
        #expect(throws: ProfileExpression.Malformed.self) { try ProfileExpression(text) }
    }
}
