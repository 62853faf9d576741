import MatrixModel
import MatrixRooms
import Testing

@Suite("m.room.server_acl") struct ServerACLTests {
    func allows(_ content: JSONValue, _ server: String) throws -> Bool {
        let document = try JSONDocument(content.serialized())
        return ServerACL(document.root).allows(try ServerName(server))
    }

    @Test(arguments: [
        "evil.com", "evil.com:8448", "EVIL.com:1", "a.evil.com", "x1.bad", "sub.of.worse.org:80",
    ])
    func `a denied server is denied on every port, whatever its case`(_ server: String) throws {
        let content: JSONValue = ["allow": ["*"], "deny": ["evil.com", "*.evil.com", "x?.bad", "*.WORSE.*"]]
        #expect(try !allows(content, server))
    }

    @Test(arguments: ["good.org", "evil.com.org", "notevil.com", "x12.bad", "worse.org", "[::1]:80", "1.2.3.4"])
    func `a server that is not denied is allowed by a pattern`(_ server: String) throws {
        let content: JSONValue = ["allow": ["*"], "deny": ["evil.com", "*.evil.com", "x?.bad", "*.WORSE.*"]]
        #expect(try allows(content, server))
    }

    @Test func `without a list of allowed servers nobody is allowed`() throws {
        #expect(try !allows([:], "a.org"))
        #expect(try !allows(["allow": "*"], "a.org"))
        #expect(try !allows(["allow": [5, nil, ["*"]]], "a.org"))
        #expect(try allows(["allow": [5, "a.org"], "deny": "a.org"], "A.org:99"))
        #expect(try !allows(["allow": ["a.org"]], "b.org"))
    }

    @Test func `address literals can be denied`() throws {
        for server in ["1.2.3.4", "1.2.3.4:80", "[::1]", "[::1]:80"] {
            #expect(try !allows(["allow": ["*"], "allow_ip_literals": false], server))
            #expect(try allows(["allow": ["*"], "allow_ip_literals": true], server))
            #expect(try allows(["allow": ["*"], "allow_ip_literals": "false"], server))
        }
        #expect(try allows(["allow": ["*"], "allow_ip_literals": false], "1.2.3.4.org"))
        #expect(try allows(["allow": ["[::1]"]], "[::1]:80"))
    }

    @Test func `a long list of patterns made to be slow is not`() throws {
        let slow = JSONValue.string(String(repeating: "*a", count: 120) + "b")
        let content: JSONValue = ["allow": ["*"], "deny": .array(Array(repeating: slow, count: 20))]
        #expect(try allows(content, String(repeating: "a", count: 230)))
    }
}
