import MatrixModel
import Testing

@Suite("Globs") struct GlobTests {
    @Test(
        arguments: [
            ("lunc?*", "Lunch plans"), ("lunc?*", "LUNCH"), ("*", ""), ("*", "x"), ("", ""), ("a*b*c", "aXbYbZc"),
            ("?", "日"),
            ("?", "🐈"), ("É*", "été"), ("**a**", "a"), ("a?c", "abc"), ("*.example.org", "a.b.Example.org"),
            ("*a", "aaa"),
            ("m.room.*", "m.room.message"), ("[a]", "[A]"), ("a\\*", "a\\x"),
        ])
    func `a pattern matches a whole text`(_ pattern: String, _ text: String) {
        #expect(Glob(pattern)?.matches(text) == true)
    }

    @Test(
        arguments: [
            ("lunc?*", " lunch"), ("lunc?*", "lunc"), ("", "x"), ("?", ""), ("?", "ab"), ("a*b", "abc"), ("a", "ab"),
            ("a", "ba"),
            ("*.example.org", "example.org"), ("a?c", "ac"), ("[ab]", "a"), ("a.c", "abc"), ("*b*b", "b"),
        ])
    func `a pattern does not match another text`(_ pattern: String, _ text: String) {
        #expect(Glob(pattern)?.matches(text) == false)
    }

    @Test(
        arguments: [
            ("ex*ple", "An example event."), ("ex*ple", "exple"), ("ex*ple", "An exciting triple-whammy"),
            ("cake", "CAKE"), ("cake", "the cake!"), ("cake", "日cake日"), ("cake", "pancake cake"), ("c?ke", "a coke"),
            ("foo bar", "x foo bar y"), ("*", "anything"), ("*", ""), ("a*", "b a"), ("*e", "whole x"), ("!x", "a!x"),
            ("", "x"),
        ])
    func `a pattern matches words of a text`(_ pattern: String, _ text: String) {
        #expect(Glob(pattern)?.matchesWords(in: text) == true)
    }

    @Test(
        arguments: [
            ("cake", "pancake"), ("cake", "cakes"), ("cake", "cake_"), ("cake", "cake1"), ("cake", ""),
            ("c?ke", "ck e"),
            ("ex*ple", "examples exemplexx"), ("foo bar", "foo  bar"), ("a?", "a"), ("x*y", "ax by"),
        ])
    func `a pattern does not match parts of words`(_ pattern: String, _ text: String) {
        #expect(Glob(pattern)?.matchesWords(in: text) == false)
    }

    @Test func `patterns made to be slow are not`() throws {
        let pattern = try #require(Glob(String(repeating: "*a", count: 200) + "b"))
        let text = Glob.Text(String(repeating: "a", count: 5_000))
        #expect(!pattern.matches(text))
        #expect(!pattern.matchesWords(in: Glob.Text(String(repeating: "a", count: 500))))
        #expect(Glob(String(repeating: "a", count: 513)) == nil)
        #expect(Glob(String(repeating: "*", count: 100_000)) == Glob("*"))
    }

    @Test func `words are found as by trying all parts`() throws {
        var random = SystemRandomNumberGenerator()
        func pick(_ alphabet: String, _ length: Int) -> String {
            String(
                (0..<Int.random(in: 0...length, using: &random)).map { _ in
                    alphabet.randomElement(using: &random) ?? "a"
                })
        }
        for _ in 0..<2_000 {
            let pattern = pick("ab *?", 5)
            let text = Array(pick("ab -", 7))
            let glob = try #require(Glob(pattern))
            func isWord(_ index: Int) -> Bool { text.indices.contains(index) && "ab".contains(text[index]) }
            let boundaries = (0...text.count).filter { !(isWord($0 - 1) && isWord($0)) }
            let expected = boundaries.contains { start in
                boundaries.contains { $0 >= start && glob.matches(String(text[start..<$0])) }
            }
            #expect(glob.matchesWords(in: String(text)) == expected, "\(pattern) in \(String(text))")
        }
    }
}
