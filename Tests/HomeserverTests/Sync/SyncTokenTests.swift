import MatrixAPI
import Testing

@testable import Homeserver

@Suite("Tokens of syncs and timelines") struct SyncTokenTests {
    @Test func `a token reads back as what it was`() throws {
        var token = SyncToken()
        (token.events, token.toDevice, token.receipts, token.accountData) = (1, 2, 3, 4)
        (token.deviceLists, token.presence, token.typing) = (5, 6, 9_007_199_254_740_991)
        #expect(token.description == "s1_1_2_3_4_5_6_9007199254740991")
        #expect(try SyncToken(token.description) == token)
    }

    @Test(arguments: [
        "", "s", "s1", "s1_", "s1_1_2_3_4_5_6", "s1_1_2_3_4_5_6_7_8", "s2_1_2_3_4_5_6_7", "s1_-1_2_3_4_5_6_7",
        "s1_1_2_3_4_5_6_9007199254740992", "s1_1_2_3_4_5_6_99999999999999999999", "s1_1_2_3_4_5_6_",
        "s1_1_2_3_4_5_6_+7",
        "s1_1_2_3_4_5_6_ 7", "s1_1_2_3_4_5_6_٣", String(repeating: "s1_1", count: 100),
    ])
    func `what is no token is refused`(text: String) {
        #expect(throws: SyncToken.invalid) { try SyncToken(text) }
    }

    @Test func `a point of a timeline reads back, and a sync's token is one`() throws {
        for position: Int64 in [0, 5, -5] {
            let token = TimelineToken(after: position)
            #expect(try TimelineToken(token.description) == token)
        }
        #expect(try TimelineToken("s1_7_0_0_0_0_0_0").position == 7)
        #expect(TimelineToken(before: 7) == TimelineToken(after: 6))
    }

    @Test(arguments: [
        "t1_", "t1_x", "t2_1", "t1_9007199254740992", "t1_-9223372036854775808", "t1_99999999999999999999",
    ])
    func `what is no point is refused`(text: String) {
        #expect(throws: SyncToken.invalid) { try TimelineToken(text) }
    }

    @Test(arguments: [
        ("m.room.*", "m.room.message", true), ("m.room.*", "m.roo", false), ("*", "", true), ("*", "x", true),
        ("m.*.member", "m.room.member", true), ("m.*.member", "m.member", false),
        ("m.room.message", "m.room.message", true),
        ("m.room.message", "m.room.messages", false), ("a*a", "a", false), ("*b*", "abc", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "acb", false), ("", "", true), ("", "x", false),
    ])
    func `a star in a type stands for anything`(pattern: String, type: String, matches: Bool) {
        #expect(TypePattern(pattern).matches(type) == matches)
    }
}
