import Cryptography
import Testing

@testable import Ratchet

@Suite("the JSON of vodozemac's pickles") struct PickleJSONTests {
    private let key = [UInt8](repeating: 5, count: 32)
    private let malformed = RatchetError.malformed(rule: "a pickle is as vodozemac wrote it")

    /// A page that cannot be read follows the text, so that the test ends where more is read.
    private func parsed(_ text: String) throws -> PickleJSON {
        try PickleJSON(SecretBytes(Array(text.utf8), placement: .guarded))
    }

    @Test func `names and texts are plain and short`() throws {
        let longest = String(repeating: "a", count: 64)
        #expect(try parsed("\"\(longest)\"").text == longest)
        #expect(try parsed("\" ~\"").text == " ~")
        for text in ["\"\(longest)a\"", "\"\u{1f}\"", "\"\u{7f}\"", "\"\\\"", "\"a", "a", "\"a\"b"] {
            #expect(throws: malformed) { try parsed(text) }
        }
    }

    @Test func `numbers have 64 bits, and end with the text`() throws {
        #expect(try parsed("18446744073709551615").integer == .max)
        #expect(try parsed("0").integer == 0)
        for text in ["18446744073709551616", "184467440737095516150", "99999999999999999999", "-1", "1e3", ""] {
            #expect(throws: malformed) { try parsed(text) }
        }
    }

    @Test func `nothing is read beyond the end, wherever that is`() throws {
        let whole = "{\"a\":[1,true],\"b\":{\"c\":\"V1\",\"d\":null},\"e\":false}"
        _ = try parsed(whole)
        for count in 0..<whole.utf8.count {
            #expect(throws: malformed) { try parsed(String(whole.prefix(count))) }
        }
    }

    @Test func `values lie twelve deep at most`() throws {
        func nested(_ depth: Int, _ open: String, _ close: String) -> String {
            String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
        }
        _ = try parsed(nested(12, "[", "]"))
        _ = try parsed(nested(12, "{\"a\":", "}"))
        #expect(throws: malformed) { try parsed(nested(13, "[", "]")) }
        #expect(throws: malformed) { try parsed(nested(13, "{\"a\":", "}")) }
    }

    @Test func `words, lists and objects are whole`() throws {
        #expect(try parsed("true").flag && !parsed("false").flag)
        #expect(try parsed("null").isNull && !parsed("0").isNull)
        for text in ["trug", "fals", "nul", "nulla", "[1", "[1;2]", "{\"a\"1}", "{1:2}", "{\"a\":1;\"b\":2}", "[]]"] {
            #expect(throws: malformed) { try parsed(text) }
        }
        #expect(try parsed("[]").array(upTo: 0).isEmpty)
        #expect(try parsed("[1,2]").array(upTo: 2).count == 2)
        #expect(throws: malformed) { try parsed("[1,2]").array(upTo: 1) }
        #expect(throws: malformed) { try parsed("[1,256]").secret(2) }
        #expect(throws: malformed) { try parsed("[1]").secret(2) }
        for other in ["1", "\"a\"", "true", "[]"] { #expect(try parsed(other)["a"].isNull) }
        #expect(throws: malformed) { try parsed("1").text }
        #expect(throws: malformed) { try parsed("1").flag }
        #expect(throws: malformed) { try parsed("true").integer }
    }

    @Test func `numbered members lie below 2⁶³`() throws {
        #expect(try parsed("{\"10\":1,\"9\":2}").numbered(upTo: 2).map(\.number).sorted() == [9, 10])
        #expect(try parsed("{\"9223372036854775806\":1}").numbered(upTo: 1).count == 1)
        #expect(throws: malformed) { try parsed("{\"9223372036854775807\":1}").numbered(upTo: 1) }
        #expect(throws: malformed) { try parsed("{\"a\":1}").numbered(upTo: 1) }
        #expect(throws: malformed) { try parsed("{\"1\":1}").numbered(upTo: 0) }
        #expect(throws: malformed) { try parsed("[]").numbered(upTo: 1) }
    }

    private func list(_ bytes: [UInt8]) -> String { "[" + bytes.map { "\($0)" }.joined(separator: ",") + "]" }

    @Test func `configurations, expanded keys and older names are understood`() throws {
        let ratchet = "{\"inner\":\(list([UInt8](repeating: 1, count: 128))),\"counter\":4294967295}"
        var expanded = random.bytes(64)
        expanded[0] &= 248
        expanded[31] = expanded[31] & 127 | 64
        let seed = random.bytes(32)
        func group(_ key: String, _ configuration: String) throws -> OutboundGroupSession {
            let text = "{\"ratchet\":\(ratchet),\"signing_key\":\(key)\(configuration)}"
            return try OutboundGroupSession(
                vodozemacPickle: MigrationTests.sealed(Array(text.utf8), key: self.key), key: self.key)
        }
        let normal = "{\"Normal\":\(list(seed))}"
        #expect(try group(normal, "").form == .truncated)
        #expect(try group(normal, ",\"config\":{\"version\":\"V1\"}").form == .truncated)
        #expect(try group(normal, ",\"config\":{\"version\":\"V2\"}").form == .full)
        #expect(throws: malformed) { try group(normal, ",\"config\":{\"version\":\"V3\"}") }
        let bare = try group("{\"Expanded\":\(list(expanded))}", "")
        #expect(bare.signingKey.isExpandedOnly && bare.messageIndex == .max)
        #expect(throws: malformed) { try group("{\"Expanded\":\(list(seed))}", "") }

        func account(_ name: String, _ next: String) throws -> OlmAccount {
            let secret = list(seed)
            let text =
                "{\"signing_key\":\(normal),\"diffie_hellman_key\":\(secret),\"one_time_keys\":{\"\(name)\":\(next),\"public_keys\":{},"
                + "\"private_keys\":{\"3\":\(secret)}},\"fallback_keys\":{\"key_id\":0,\"fallback_key\":null,"
                + "\"previous_fallback_key\":null}}"
            return try OlmAccount(
                vodozemacPickle: MigrationTests.sealed(Array(text.utf8), key: self.key), key: self.key)
        }
        #expect(try account("next_key_id", "9").nextNumber == 9)
        #expect(try account("key_id", "9").nextNumber == 9)
        #expect(try account("next_key_id", "2").nextNumber == 4)
        #expect(try account("next_key_id", "9223372036854775806").fallback == nil)
        #expect(throws: malformed) { try account("next_key_id", "9223372036854775807") }
    }
}
