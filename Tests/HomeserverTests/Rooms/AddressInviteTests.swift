import Cryptography
import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import Synchronization
import Testing

@testable import Homeserver

/// An identity server that knows one address.
private final class FakeIdentityServer: HTTPHandler {
    static let token = "identity-token"
    private let asked = Mutex<[JSONValue]>([])
    let known: [String: String]

    init(known: [String: String]) { self.known = known }

    /// What was to be kept.
    var stored: [JSONValue] { asked.withLock { $0 } }

    func handle(_ request: IncomingRequest) async -> OutgoingResponse {
        let body = (try? await request.body.collect(upTo: 1 << 16)).flatMap { try? JSONValue.parse($0) } ?? .null
        guard request.head.headerFields[.authorization] == "Bearer \(Self.token)" else {
            return answer(["errcode": "M_UNAUTHORIZED", "error": "no"], 401)
        }
        switch request.head.path {
        case "/_matrix/identity/v2/hash_details":
            return answer(["lookup_pepper": "salt", "algorithms": ["none", "sha256"]])
        case "/_matrix/identity/v2/lookup":
            guard body["algorithm"] == "sha256", body["pepper"] == "salt" else { return answer([:], 400) }
            var mappings: JSONValue = [:]
            for (address, user) in known {
                let hash = Base64.encode(SHA256.hash(Array("\(address) email salt".utf8)), .urlSafeUnpadded)
                if body["addresses"]?.elements.contains(.string(hash)) == true { mappings[hash] = .string(user) }
            }
            return answer(["mappings": mappings])
        case "/_matrix/identity/v2/store-invite":
            asked.withLock { $0.append(body) }
            return answer([
                "token": "sometoken", "display_name": "f...@b...",
                "public_keys": [
                    ["public_key": "bG9uZw", "key_validity_url": "https://id.test/valid"],
                    ["public_key": "c2hvcnQ", "key_validity_url": "https://id.test/ephemeral"],
                ],
            ])
        default: return answer([:], 404)
        }
    }

    private func answer(_ body: JSONValue, _ status: Int = 200) -> OutgoingResponse {
        OutgoingResponse(status: HTTPResponse.Status(code: status), fields: [:], body: HTTPBody(body.serialized()))
    }
}

@Suite("Invites to addresses") struct AddressInviteTests {
    private struct Scene {
        let network = LoopNetwork()
        let identity: FakeIdentityServer
        let server: TestHomeserver
        let alice: TestHomeserver.Client
        let bob: TestHomeserver.Client

        init() async throws {
            server = try await TestHomeserver("a.test", on: network)
            (alice, bob) = (try await server.register("alice"), try await server.register("bob"))
            identity = FakeIdentityServer(known: ["bob@example.org": bob.user.text])
            network.connect("id.test", identity)
        }

        func invite(_ address: String, token: String = FakeIdentityServer.token) -> JSONValue {
            [
                "id_server": "id.test", "id_access_token": .string(token), "medium": "email",
                "address": .string(address),
            ]
        }

        func ask(_ client: TestHomeserver.Client, _ room: RoomID, _ body: JSONValue) async -> MatrixError? {
            do {
                try await client.ask(.post, "/_matrix/client/v3/rooms/\(percent(room.text))/invite", body)
                return nil
            } catch { return error as? MatrixError }
        }
    }

    @Test func `who has the address is invited, and for others the invite is kept`() async throws {
        let scene = try await Scene()
        let room = try await scene.alice.createRoom("12", ["name": "Den"])
        #expect(await scene.ask(scene.alice, room, scene.invite("Bob@Example.org")) == nil)
        #expect(try await scene.server.membership(scene.bob.user, room) == .invite)
        #expect(scene.identity.stored.isEmpty)

        #expect(await scene.ask(scene.alice, room, scene.invite("foo@bar.org")) == nil)
        let told = try #require(scene.identity.stored.first)
        #expect(told["address"] == "foo@bar.org")
        #expect(told["medium"] == "email")
        #expect(told["room_id"]?.string == room.text)
        #expect(told["sender"]?.string == scene.alice.user.text)
        #expect(told["room_name"] == "Den")
        #expect(told["room_join_rules"] == "public")
        let reader = scene.server.reader
        let record = try #require(try await reader.record(room))
        let event = try #require(try await reader.stateEvent(record, .thirdPartyInvite, "sometoken"))
        let content = JSONValue(event.pdu.content)
        #expect(content["display_name"] == "f...@b...")
        #expect(content["public_key"] == "bG9uZw")
        #expect(content["key_validity_url"] == "https://id.test/valid")
        #expect(content["public_keys"]?.elements.count == 2)
    }

    @Test func `a room is made with addresses invited`() async throws {
        let scene = try await Scene()
        let room = try await scene.alice.createRoom(
            "12", ["preset": "private_chat", "invite_3pid": [scene.invite("bob@example.org"), scene.invite("x@y.z")]])
        #expect(try await scene.server.membership(scene.bob.user, room) == .invite)
        #expect(scene.identity.stored.map { $0["address"] } == ["x@y.z"])
        await #expect(throws: MatrixError.self) {
            try await scene.alice.createRoom("12", ["invite_3pid": [["medium": "email", "address": "a@b"]]])
        }
    }

    @Test func `nobody is written to for who may not invite, or asks wrongly`() async throws {
        let scene = try await Scene()
        let room = try await scene.alice.createRoom("12", ["power_level_content_override": ["invite": 50]])
        #expect(await scene.ask(scene.bob, room, scene.invite("foo@bar.org"))?.code == .forbidden)
        try await scene.bob.join(room, via: scene.server)
        #expect(await scene.ask(scene.bob, room, scene.invite("foo@bar.org"))?.code == .forbidden)
        #expect(await scene.ask(scene.alice, room, scene.invite("foo@bar.org", token: "wrong"))?.code == .forbidden)
        var elsewhere = scene.invite("foo@bar.org")
        elsewhere["id_server"] = "nowhere.test"
        #expect(await scene.ask(scene.alice, room, elsewhere)?.status == 400)
        var lacking = scene.invite("foo@bar.org")
        lacking["id_access_token"] = nil
        #expect(await scene.ask(scene.alice, room, lacking)?.code == .missingParameter)
        var odd = scene.invite("no address")
        #expect(await scene.ask(scene.alice, room, odd)?.code == .invalidParameter)
        odd["medium"] = "pigeon"
        #expect(await scene.ask(scene.alice, room, odd)?.code == .invalidParameter)
        #expect(scene.identity.stored.isEmpty)
    }
}
