import ConfigRepositories
import Testing

struct TreePathTests {
    @Test(arguments: [
        ("a/b.yml", "a/b.yml"), ("/a//./b.yml", "a/b.yml"), ("", ""), ("a/../b", nil), ("..", nil), (".git/config", nil), ("a/.GIT/x", nil),
        ("a/.gitignore", "a/.gitignore"), ("a\0b", nil),
    ])
    func `a path stays in the tree and out of the repository's own files`(path: String, normal: String?) {
        #expect(TreePath.normalised(path) == normal)
    }

    @Test(arguments: [("a/../b", "b"), ("a/b/..", "a"), ("../x", nil), ("a/../../x", nil), ("a/../.git/x", nil)])
    func `an import may climb, but not out of the tree`(path: String, resolved: String?) { #expect(TreePath.resolved(path) == resolved) }

    @Test(arguments: [
        ("*", "anything", true), ("", "", true), ("", "a", false), ("a*", "abc", true), ("*b*/d?v", "abc/dev", true), ("*b", "abc", false),
        ("a**c", "abbc", true), ("special*/dev*", "special/dev,prod", true), ("special*/dev*", "special/prod,dev", false),
    ])
    func `wildcards match the whole text`(pattern: String, text: String, matches: Bool) {
        #expect(Wildcard.matches(pattern, text) == matches)
    }

    @Test(.timeLimit(.minutes(1))) func `a hostile wildcard takes no more than its lengths multiplied`() {
        let pattern = String(repeating: "*a", count: 2000) + "b"
        #expect(!Wildcard.matches(pattern, String(repeating: "a", count: 5000)))
    }

    @Test func `folders are found by patterns, in the order of their names`() throws {
        let tree = MemoryTree(
            texts: ["teams/red/a.yml": "", "teams/blue/b/c.yml": "", "x": "", "teams/file": "", ".git/refs/x": ""])
        #expect(try tree.folders(matching: "teams/*/") == ["teams/blue", "teams/red"])
        #expect(try tree.folders(matching: "teams") == ["teams"])
        #expect(try tree.folders(matching: "teams/file") == [])
        #expect(try tree.folders(matching: "**/b") == ["teams/blue/b"])
        #expect(try tree.folders(matching: "*") == ["teams"])
        #expect(try tree.folders(matching: "../*") == [])
    }
}
