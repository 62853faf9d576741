import Cryptography
import HTTPMessages
import HTTPTypes
import Homeserver
import MatrixModel
import MatrixRooms
import Testing

@Suite("Notaries") struct NotaryTests {
    /// A room of Alice's with a user of a server that is gone since, and Bob, who joins it afterwards.
    private func joinAfterDeath(trusting notaries: [String]) async throws -> Membership? {
        let names = try notaries.map { try ServerName($0) }
        var found: Membership?
        try await TwoServers.run({ $0.federation.notaryTrustedServers = names }) { servers in
            let room = try await servers.alice.createRoom("12")
            let dead = try HandmadeServer("dead.test", on: servers.network)
            let ghost = try UserID("@ghost:dead.test")
            _ = try await dead.join(ghost, room, on: servers.a)
            servers.network.set { $0.host == "dead.test" ? .unreachable : .delivered }
            try await servers.bob.join(room, via: servers.a)
            found = try await servers.b.membership(ghost, room)
        }
        return found
    }

    @Test func `the key of a server that is gone is had from a notary, and from nobody else`() async throws {
        #expect(try await joinAfterDeath(trusting: ["a.test"]) == .join)
        #expect(try await joinAfterDeath(trusting: []) == nil)
    }

    @Test func `a notary tells what it was asked for, signed by both, as fresh as it can be`() async throws {
        try await TwoServers.run { servers in
            let far = try HandmadeServer("far.test", on: servers.network)
            func told(_ query: String) async throws -> JSONView? {
                try await far.ask(servers.a, .get, "/_matrix/key/v2/query/far.test\(query)").body["server_keys"]?
                    .elements.first
            }
            let first = try #require(try await told(""))
            #expect(SignedJSON.verify(first, entity: "far.test", keyID: HandmadeServer.keyID, key: far.key.publicKey))
            let notary = servers.a.environment.signingKeys
            #expect(
                SignedJSON.verify(first, entity: "a.test", keyID: notary.keyID, key: notary.current.publicKey))
            let until = try #require(first["valid_until_ts"]?.integer)

            // What is known is fresh enough, or the server is asked again.
            func asked() -> Int { servers.network.paths.filter { $0 == "far.test/_matrix/key/v2/server" }.count }
            let before = asked()
            _ = try await told("?minimum_valid_until_ts=\(until)")
            #expect(asked() == before)
            try await eventually {
                let again = try await told("?minimum_valid_until_ts=\(until + 1)")
                return try #require(again?["valid_until_ts"]?.integer) > until
            }
            // One that is gone is told as it was.
            servers.network.set { $0.host == "far.test" ? .unreachable : .delivered }
            #expect(try await told("?minimum_valid_until_ts=\(until + 1_000_000_000)") != nil)
        }
    }
}
