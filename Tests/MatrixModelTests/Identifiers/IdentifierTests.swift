import MatrixModel
import Testing

@Suite("Identifiers") struct IdentifierTests {
    let vectors: JSONView

    init() throws { vectors = try specificationVectors("identifiers/identifiers.json").root }

    @Test func `server names follow the grammar`() throws {
        for text in try vectors.requiredStrings("server_names_valid") { #expect(try ServerName(text).text == text) }
        let plain = try ServerName("matrix.org:8448")
        #expect(plain.host == "matrix.org" && plain.port == 8448 && !plain.isIPLiteral)
        let address = try ServerName("[1234:5678::abcd]:5678")
        #expect(address.host == "[1234:5678::abcd]" && address.port == 5678 && address.isIPLiteral)
        #expect(try ServerName("1.2.3.4").isIPLiteral)
        #expect(try ServerName("1.2.3.4:80").isIPLiteral)
        #expect(try !ServerName("1.2.3.256").isIPLiteral)
        #expect(try !ServerName("1.2.3").isIPLiteral)
        #expect(try ServerName("matrix.org") != ServerName("MATRIX.org"))
    }

    @Test(
        arguments: [
            "", ":80", "a:", "a:b", "a:123456", "a b", "a/b", "a_b", "é.org", "[::1", "::1", "[]", "[1::2::3]",
            "[12345::]",
            "[::1]x", "[::1]:", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[:1::]", "[g::]", "[::1.2.3]", "a:80:90",
            "a\u{0}",
        ])
    func `what is no server name is refused`(_ text: String) {
        #expect(throws: InvalidIdentifier.self) { try ServerName(text) }
    }

    @Test(
        arguments: [
            "[::]", "[::1]", "[1::]", "[1:2:3:4:5:6:7:8]", "[::ffff:1.2.3.4]", "[::1.2.3.4]", "[1:2:3:4:5:6:1.2.3.4]",
            "[1::8]:1", "[1:2:3:4:5:6:7::]",
        ])
    func `IPv6 addresses in all their spellings are server names`(_ text: String) throws {
        #expect(try ServerName(text).isIPLiteral)
    }

    @Test func `user IDs of new accounts are strict`() throws {
        for text in try vectors.requiredStrings("user_ids_new_valid") {
            let user = try UserID(text)
            #expect(try UserID(newLocalpart: user.localpart, server: user.serverName) == user)
            #expect(!user.isHistorical)
        }
        let server = try ServerName("domain")
        for localpart in ["", "A", "é", "a b", "a:b", "a!", String(repeating: "a", count: 250)] {
            #expect(throws: InvalidIdentifier.self) { try UserID(newLocalpart: localpart, server: server) }
        }
    }

    @Test func `user IDs of old accounts are accepted`() throws {
        for text in try vectors.requiredStrings("user_ids_historical_must_be_accepted_over_federation") {
            #expect(try UserID(text).isHistorical)
            #expect(try UserID(text).serverName.text == "domain")
        }
        #expect(try UserID("@:domain").isNonCompliant)
        #expect(try UserID("@日 本:domain").isNonCompliant)
        #expect(try !UserID("@A:domain").isNonCompliant)
        #expect(try UserID("@a:[::1]:80").serverName.host == "[::1]")
    }

    @Test func `what is no user ID is refused`() throws {
        let tooLong = "@" + String(repeating: "a", count: 248) + ":domain"
        #expect(
            try UserID(String(tooLong.dropFirst(1)).replacing("a", with: "@", maxReplacements: 1)).text.count == 255)
        for text in try vectors.requiredStrings("user_ids_invalid") + ["@a\u{0}:domain", "!a:domain", tooLong] {
            #expect(throws: InvalidIdentifier.self) { try UserID(text) }
        }
    }

    @Test func `localparts are made of any name`() {
        #expect(UserID.localpart(for: "#á=") == "=23=c3=a1=3d")
        #expect(UserID.localpart(for: "A_b") == "a_b")
        #expect(UserID.localpart(for: "A_b", keepingCase: true) == "_a__b")
        #expect(UserID.localpart(for: "\n") == "=0a")
    }

    @Test func `identifiers are compared byte for byte`() throws {
        let composed = try UserID("@\u{E9}:domain")
        let decomposed = try UserID("@e\u{301}:domain")
        #expect(composed.text == decomposed.text)
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
        #expect(try EventID("$B") < EventID("$a"))
        #expect(EventType.member == "m.room.member")
        #expect(EventType.member != .message)
    }

    @Test func `room IDs have a server up to version 11 and none from 12`() throws {
        for text in try vectors.requiredStrings("room_ids_with_domain_valid") {
            #expect(try RoomID(text).serverName != nil)
            #expect(try !RoomID(text).isHash)
        }
        let hash = try RoomID("!" + String(repeating: "aB3-_", count: 8) + "xyz")
        #expect(hash.isHash && hash.serverName == nil)
        for text in ["", "!", "room:domain", "!a:", "!a b", "!a:b/c", "!" + String(repeating: "a", count: 255)] {
            #expect(throws: InvalidIdentifier.self) { try RoomID(text) }
        }
    }

    @Test func `event IDs, aliases, devices and media have their grammars`() throws {
        #expect(try EventID("$x:domain").serverName?.text == "domain")
        #expect(try EventID("$ab/+c").serverName == nil)
        #expect(throws: InvalidIdentifier.self) { try EventID("$") }
        #expect(try RoomAlias("#日本 room:domain:80").serverName.port == 80)
        #expect(throws: InvalidIdentifier.self) { try RoomAlias("#room") }
        #expect(throws: InvalidIdentifier.self) { try DeviceID("") }
        #expect(throws: InvalidIdentifier.self) { try EventType(String(repeating: "a", count: 256)) }
        let media = try MXCURI("mxc://domain:80/aB_-9")
        #expect(media.serverName.text == "domain:80" && media.mediaID == "aB_-9")
        for text in [
            "mxc://a/", "mxc://a", "mxc:///b", "http://a/b", "mxc://a/b/c", "mxc://a/..", "mxc://a/b%2F", "mxc://",
        ] {
            #expect(throws: InvalidIdentifier.self) { try MXCURI(text) }
        }
    }
}
