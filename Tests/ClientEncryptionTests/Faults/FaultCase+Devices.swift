import ClientEncryption
import HTTPMessages
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Testing

@testable import FedchatKit

extension FaultCase {
    static let devices: [FaultCase] = [
        FaultCase("device replaced by another: what comes", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            let new = try await pair.bob.another()
            _ = try await pair.bob.client.logout()
            try await world.until(pair.alice, new) {
                try await pair.alice.devices(of: pair.bob.user) == [new.device]
            }
            try await pair.alice.say("to the new one", pair.room)
            try await world.until(pair.alice, new) {
                try await new.view(pair.room).texts.last == "to the new one"
            }
            return .decrypted
        },
        FaultCase("device replaced by another: what was", .cause(.historical)) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            world.clock.advance(by: 5_000)
            let new = try await pair.bob.another()
            try await new.step()
            let causes = Set(try await new.view(pair.room).causes)
            return causes.count == 1 ? .cause(causes.first ?? .malformed) : .decrypted
        },
        FaultCase("device revoked", .cause(.noRoomKey)) { world in
            let pair = try await FaultPair(world)
            let second = try await pair.bob.another()
            try await pair.talk()
            try await world.until(pair.alice, second) {
                try await pair.alice.devices(of: pair.bob.user).count == 2
            }
            try await pair.alice.say("to both", pair.room)
            try await world.until(pair.alice, second) { try await second.view(pair.room).texts.last == "to both" }
            // Its keys are gone from the server, but somebody still holds its store and a session.
            pair.alice.line.change { request, answer in
                guard request.pathAndQuery.contains("/keys/query") else { return answer }
                var answer = answer
                answer["device_keys"] = answer["device_keys"].map { keys in
                    var keys = keys
                    keys[pair.bob.user.text] = keys[pair.bob.user.text].map { devices in
                        var devices = devices
                        devices[second.device.text] = nil
                        return devices
                    }
                    return keys
                }
                return answer
            }
            try await pair.alice.noteChanged(pair.bob.user)
            try await pair.alice.step()
            try await pair.alice.say("not to the second", pair.room)
            try await world.until(pair.alice, second) { try await !second.view(pair.room).failures.isEmpty }
            #expect(try await pair.bobReads("hello", "hi", "to both", "not to the second") == .decrypted)
            return try await .cause(second.view(pair.room).causes.last ?? .malformed)
        },
        FaultCase("device added while a message is sent", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            let made = Kept<FaultDevice>()
            // It is there before the message, but Alice hears of it only afterwards.
            let second = try await pair.bob.another()
            made.set(second)
            try await pair.alice.say("who is there?", pair.room)
            try await world.until(pair.alice, pair.bob, second) {
                try await second.view(pair.room).texts.contains("who is there?")
            }
            return .decrypted
        },
        FaultCase("join while a message is sent", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            let carol = try await world.device("carol")
            _ = try await carol.client.call(APICall(.joinRoom, ["roomIdOrAlias": pair.room.text]))
            // Alice has not heard of Carol yet.
            try await pair.alice.say("welcome, whoever comes", pair.room)
            try await world.until(pair.alice, carol) {
                try await carol.view(pair.room).texts.contains("welcome, whoever comes")
            }
            return .decrypted
        },
        FaultCase("join after a message was sent", .cause(.notMember)) { world in
            let pair = try await FaultPair(world)
            let carol = try await world.device("carol")
            try await pair.talk()
            _ = try await carol.client.call(APICall(.joinRoom, ["roomIdOrAlias": pair.room.text]))
            try await world.until(carol) { try await carol.view(pair.room).failures.count == 2 }
            return try await .cause(carol.view(pair.room).causes[0])
        },
        FaultCase("blocked device", .cause(.withheld)) { world in
            let pair = try await FaultPair(world)
            try await pair.alice.client.setBlocked(true, pair.bob.user, pair.bob.device)
            try await pair.alice.say("not for you", pair.room)
            try await world.until(pair.alice, pair.bob) {
                try await pair.bob.view(pair.room).failures.first?.code == "m.blacklisted"
            }
            return try await pair.bobFails()
        },
        FaultCase("device not cross-signed, where only such get keys", .cause(.withheld)) { world in
            let pair = try await FaultPair(world)
            try await pair.alice.client.setSharing(.crossSignedDevices)
            try await pair.alice.say("for the signed", pair.room)
            try await world.until(pair.alice, pair.bob) {
                try await pair.bob.view(pair.room).failures.first?.code == "m.unverified"
            }
            return try await pair.bobFails()
        },
        FaultCase("key given from a later message on", .cause(.unknownIndex)) { world in
            let pair = try await FaultPair(world)
            let carol = try await world.device("carol")
            try await pair.talk()
            world.clock.advance(by: 120_000)
            _ = try await carol.client.call(APICall(.joinRoom, ["roomIdOrAlias": pair.room.text]))
            try await world.until(pair.alice, carol) { try await pair.alice.knows([carol.user], in: pair.room) }
            try await pair.alice.say("now", pair.room)
            try await world.until(pair.alice, carol) { try await carol.view(pair.room).texts == ["now"] }
            return try await .cause(carol.view(pair.room).causes[0])
        },
    ]
}
