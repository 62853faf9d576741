import ClientEncryption
import HTTPMessages
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Testing

@testable import FedchatKit

/// What the devices of people with cross-signing keys do for each other.
extension FaultCase {
    static let trusted: [FaultCase] = [
        FaultCase("key lost, another verified device of ours has it", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            try await pair.bob.makeIdentity()
            let second = try await pair.bob.another()
            try await pair.bob.verify(second)
            try await world.until(second) { try await second.knows([pair.bob.user], in: pair.room) }
            second.line.change { request, answer in
                guard request.pathAndQuery.contains("/sync") else { return answer }
                var answer = answer
                answer["to_device"] = ["events": []]
                return answer
            }
            try await world.until(pair.alice) { try await pair.alice.devices(of: pair.bob.user).count == 2 }
            try await pair.alice.say("for all of yours", pair.room)
            #expect(try await pair.bobReads("hello", "hi", "for all of yours") == .decrypted)
            try await second.step()
            second.line.change(nil)
            // Alice is away: only the first device of Bob's can help, also with what was said before.
            try await world.until(pair.bob, second) {
                try await second.view(pair.room).texts == ["hello", "hi", "for all of yours"]
            }
            return .decrypted
        },
        FaultCase("key asked for by a device of ours that is not verified", .cause(.historical)) { world in
            let pair = try await FaultPair(world)
            try await pair.bob.makeIdentity()
            try await pair.talk()
            world.clock.advance(by: 5_000)
            let second = try await pair.bob.another()
            try await second.step()
            let unread = try await second.view(pair.room)
            let session = unread.failures.first?.session ?? ""
            _ = try await second.client.call(
                APICall(
                    .sendToDevice, ["eventType": "m.room_key_request", "txnId": "1"],
                    body: [
                        "messages": [
                            pair.bob.user.text: [
                                pair.bob.device.text: [
                                    "action": "request", "request_id": "1",
                                    "requesting_device_id": .string(second.device.text),
                                    "body": [
                                        "algorithm": "m.megolm.v1.aes-sha2", "room_id": .string(pair.room.text),
                                        "session_id": .string(session),
                                    ],
                                ]
                            ]
                        ]
                    ]))
            try await world.until(pair.bob, second) {
                try await second.view(pair.room).failures.first?.ownAnswer == "m.unverified"
            }
            #expect(try await second.view(pair.room).failures[0].remedies.contains(.verifyThisDevice))
            return try await .cause(second.view(pair.room).causes[0])
        },
        FaultCase("invited after a message was sent: history shared", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.alice.makeIdentity()
            try await pair.talk()
            let carol = try await world.device("carol", on: "b.test")
            try await carol.makeIdentity()
            try await pair.alice.invite(carol, to: pair.room)
            try await world.until(pair.alice, carol) {
                try await carol.client.rooms().contains { $0.room == pair.room }
            }
            _ = try await carol.client.call(
                APICall(.joinRoom, ["roomIdOrAlias": pair.room.text], query: [("via", "a.test")]))
            try await world.until(pair.alice, carol) { try await carol.view(pair.room).texts == ["hello", "hi"] }
            return .decrypted
        },
        FaultCase("person not verified, where only such get keys", .cause(.withheld)) { world in
            let pair = try await FaultPair(world)
            try await pair.alice.makeIdentity()
            try await pair.bob.makeIdentity()
            try await pair.alice.client.setSharing(.verifiedUsers)
            try await pair.alice.say("before", pair.room)
            try await world.until(pair.alice, pair.bob) {
                try await pair.bob.view(pair.room).failures.first?.code == "m.unverified"
            }
            try await pair.alice.vouch(for: pair.bob)
            try await pair.alice.say("after", pair.room)
            try await world.until(pair.alice, pair.bob) { try await pair.bob.view(pair.room).texts == ["after"] }
            return try await .cause(pair.bob.view(pair.room).causes[0])
        },
        FaultCase("identity reset by somebody who was verified", .refused("changed identity")) { world in
            let pair = try await FaultPair(world)
            try await pair.alice.makeIdentity()
            try await pair.bob.makeIdentity()
            try await pair.alice.vouch(for: pair.bob)
            try await pair.talk()
            try await pair.bob.resetIdentity()
            let (machine, user) = (pair.alice.client.machine, pair.bob.user)
            try await world.until(pair.alice) {
                try await pair.alice.database.read { try machine.identityChange(of: user, in: $0) } != nil
            }
            do {
                try await pair.alice.say("is that you?", pair.room)
                return .decrypted
            } catch EncryptionError.changedIdentity {
                return .refused("changed identity")
            } catch ClientError.encryption(.changedIdentity) {
                return .refused("changed identity")
            }
        },
        FaultCase("identity reset by somebody who was only known", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.bob.makeIdentity()
            try await pair.talk()
            try await pair.bob.resetIdentity()
            let (machine, user) = (pair.alice.client.machine, pair.bob.user)
            try await world.until(pair.alice) {
                try await pair.alice.database.read { try machine.identityChange(of: user, in: $0) } != nil
            }
            try await pair.alice.say("and now", pair.room)
            return try await pair.bobReads("hello", "hi", "and now")
        },
    ]
}
