import Cryptography
import FedchatTesting
import MatrixModel
import MatrixRooms
import Testing

@Suite("Third-party invites (rule 5.4.1)") struct ThirdPartyInviteTests {
    private let identityServer: TestServer

    init() throws { identityServer = TestServer(try ServerName("identity.test")) }

    /// A room where Alice has invited an address, and Bob, whose address it is, on his way in.
    private func room(keys: JSONValue? = nil) -> TestRoom {
        var room = TestRoom(.v12, joinRule: "invite")
        let key = JSONValue.string(Base64.encode(identityServer.key.publicKey.bytes))
        room.send(.thirdPartyInvite, by: .alice, stateKey: "token", keys ?? ["public_key": key])
        return room
    }

    private func signed(_ user: UserID = .bob, token: String = "token") -> JSONValue {
        SignedJSON.sign(
            ["mxid": .string(user.text), "token": .string(token)], as: identityServer.name,
            keyID: identityServer.keyID, with: identityServer.key)
    }

    private func invite(_ room: TestRoom, _ content: JSONValue, by sender: UserID = .alice) -> String? {
        room.clauseRejecting(
            room.event(
                .member, by: sender, stateKey: UserID.bob.text,
                ["membership": "invite", "third_party_invite": content]))
    }

    @Test func `an invite signed by a key of the room's invite is allowed`() {
        #expect(invite(room(), ["signed": signed()]) == nil)
        let key = JSONValue.string(Base64.encode(identityServer.key.publicKey.bytes))
        let listed: JSONValue = ["public_key": "AAAA", "public_keys": [["public_key": key]]]
        #expect(invite(room(keys: listed), ["signed": signed()]) == nil)
    }

    @Test func `a banned user is not invited so`() {
        var room = room()
        room.ban(.bob)
        #expect(invite(room, ["signed": signed()]) == "5.4.1.1")
    }

    @Test func `what is not complete is rejected`() {
        #expect(invite(room(), [:]) == "5.4.1.2")
        #expect(invite(room(), "x") == "5.4.1.2")
        #expect(invite(room(), ["signed": ["token": "token"]]) == "5.4.1.3")
        #expect(invite(room(), ["signed": ["mxid": "@bob:two.test"]]) == "5.4.1.3")
    }

    @Test func `it is for one user, one token and by one sender`() {
        #expect(invite(room(), ["signed": signed(.carol)]) == "5.4.1.4")
        #expect(invite(room(), ["signed": signed(token: "other")]) == "5.4.1.5")
        var room = room()
        room.join(.carol)
        #expect(invite(room, ["signed": signed()], by: .carol) == "5.4.1.6")
    }

    @Test func `a signature that does not hold is rejected`() {
        var changed = signed(.carol)
        changed["mxid"] = .string(UserID.bob.text)
        #expect(invite(room(), ["signed": changed]) == "5.4.1.8")
        #expect(invite(room(keys: [:]), ["signed": signed()]) == "5.4.1.8")
        #expect(invite(room(keys: ["public_keys": "x", "public_key": 7]), ["signed": signed()]) == "5.4.1.8")
    }

    @Test func `only so many keys are tried`() {
        let key = JSONValue.string(Base64.encode(identityServer.key.publicKey.bytes))
        let other = JSONValue.string(Base64.encode(TestServer(of: .alice).key.publicKey.bytes))
        let many = [JSONValue](repeating: ["public_key": other], count: 1_000) + [["public_key": key]]
        #expect(invite(room(keys: ["public_keys": .array(many)]), ["signed": signed()]) == "5.4.1.8")
    }

    @Test func `the sixteenth key and signature count, the seventeenth do not`() {
        let key = JSONValue.string(Base64.encode(identityServer.key.publicKey.bytes))
        let other = JSONValue.string(Base64.encode(TestServer(of: .alice).key.publicKey.bytes))
        for (others, expected) in [(15, nil), (16, "5.4.1.8")] as [(Int, String?)] {
            let keys = [JSONValue](repeating: ["public_key": other], count: others) + [["public_key": key]]
            #expect(invite(room(keys: ["public_keys": .array(keys)]), ["signed": signed()]) == expected)

            // Signatures are tried in the order of their JSON: all of `a` come first.
            var bad: JSONValue = [:]
            for index in 0..<others { bad["ed25519:\(index)"] = "AAAA" }
            var many = signed()
            many["signatures"]?["a"] = bad
            #expect(invite(room(), ["signed": many]) == expected)
        }
    }
}
