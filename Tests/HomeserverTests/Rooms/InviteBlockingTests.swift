import HTTPTypes
import MatrixAPI
import MatrixModel
import Testing

@testable import Homeserver

@Suite("Invite blocking") struct InviteBlockingTests {
    private func block(_ client: TestHomeserver.Client, _ isOn: Bool) async throws {
        try await client.ask(
            .put, "/_matrix/client/v3/user/\(percent(client.user.text))/account_data/m.invite_permission_config",
            isOn ? ["default_action": "block"] : [:])
    }

    private func invites(_ client: TestHomeserver.Client) async throws -> [String] {
        try await client.ask(.get, "/_matrix/client/v3/sync?timeout=0")["rooms"]?["invite"]?.members.map(\.key) ?? []
    }

    private func code(_ work: () async throws -> Void) async -> MatrixError? {
        do {
            try await work()
            return nil
        } catch { return error as? MatrixError }
    }

    @Test func `who blocks invites gets none, from here or elsewhere, and is not shown those that are there`()
        async throws
    {
        try await TwoServers.run { servers in
            let carol = try await servers.a.register("carol")
            let (here, there) = (
                try await servers.alice.createRoom("12", ["preset": "private_chat"]),
                try await servers.bob.createRoom("12", ["preset": "private_chat"])
            )
            try await servers.alice.act("invite", here, on: carol.user)
            try await servers.bob.act("invite", there, on: carol.user)
            #expect(Set(try await invites(carol)) == [here.text, there.text])
            try await block(carol, true)
            #expect(try await invites(carol) == [])

            let (second, third) = (
                try await servers.alice.createRoom("12", ["preset": "private_chat"]),
                try await servers.bob.createRoom("12", ["preset": "private_chat"])
            )
            let refusals = [
                await code { try await servers.alice.act("invite", second, on: carol.user) },
                await code {
                    try await servers.alice.set(
                        "m.room.member", ["membership": "invite"], second, key: carol.user.text)
                },
                await code {
                    _ = try await servers.alice.createRoom("12", ["invite": [.string(carol.user.text)]])
                },
            ]
            for refusal in refusals {
                #expect(refusal?.code == .inviteBlocked)
                #expect(refusal?.status == 403)
            }
            #expect(await code { try await servers.bob.act("invite", third, on: carol.user) }?.status == 403)
            try await block(carol, false)
            #expect(Set(try await invites(carol)) == [here.text, there.text])
        }
    }
}
