import ClientEncryption
import HTTPMessages
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Testing

@testable import FedchatKit

extension FaultCase {
    /// The server changes the first encrypted message that Bob is shown.
    private static func tampered(
        _ world: FaultWorld, _ change: @escaping @Sendable (JSONValue) -> [JSONValue]
    ) async throws -> Outcome {
        let pair = try await FaultPair(world)
        pair.bob.line.change { request, answer in
            guard request.pathAndQuery.contains("/messages") else { return answer }
            var answer = answer
            answer["chunk"] = .array(
                (answer["chunk"]?.elements ?? []).flatMap { event in
                    event["type"] == "m.room.encrypted" ? change(event) : [event]
                })
            return answer
        }
        try await pair.alice.say("genuine", pair.room)
        return try await pair.bobFails()
    }

    static let hostile: [FaultCase] = [
        FaultCase("server repeats and reorders to-device messages and events", .decrypted) { world in
            let pair = try await FaultPair(world)
            let kept = KeptEvents()
            pair.bob.line.change { request, answer in
                guard request.pathAndQuery.contains("/sync") else { return answer }
                return kept.repeated(answer)
            }
            for text in ["one", "two", "three"] {
                try await pair.alice.discard(pair.room)
                try await pair.alice.say(text, pair.room)
                try await pair.bob.step()
            }
            return try await pair.bobReads("one", "two", "three")
        },
        FaultCase("message shown again as another event", .cause(.replayed)) { world in
            try await tampered(world) { event in
                var replay = event
                replay["event_id"] = "$replayed0000000000000000000000000000000000"
                return [event, replay]
            }
        },
        FaultCase("message altered", .cause(.badSignature)) { world in
            try await tampered(world) { event in
                var event = event
                let text = event["content", "ciphertext"]?.string ?? ""
                var content = event["content"] ?? [:]
                content["ciphertext"] = .string(
                    String(text.dropLast(6)) + (text.hasSuffix("AAAAAA") ? "BBBBBB" : "AAAAAA"))
                event["content"] = content
                return [event]
            }
        },
        FaultCase("message shown as somebody else's", .cause(.wrongSender)) { world in
            try await tampered(world) { event in
                var event = event
                event["sender"] = "@mallory:a.test"
                return [event]
            }
        },
        FaultCase("algorithm changed", .cause(.unsupportedAlgorithm)) { world in
            try await tampered(world) { event in
                var event = event
                var content = event["content"] ?? [:]
                content["algorithm"] = "m.megolm.v0.weak"
                event["content"] = content
                return [event]
            }
        },
        FaultCase("message garbled", .cause(.malformed)) { world in
            try await tampered(world) { event in
                var event = event
                var content = event["content"] ?? [:]
                content["ciphertext"] = "AwgAEg"
                event["content"] = content
                return [event]
            }
        },
        FaultCase("server shows other keys of a known device", .refused("changed key")) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            let mallory = try await world.device("mallory")
            let own = try await mallory.ownDeviceKeys()
            pair.alice.line.change { request, answer in
                guard request.pathAndQuery.contains("/keys/query") else { return answer }
                return substituting(own, for: pair.bob, in: answer)
            }
            try await pair.alice.noteChanged(pair.bob.user)
            try await pair.alice.step()
            // Keys of somebody else do not verify under Bob's name: the device is left out, and gets nothing.
            try await pair.alice.say("not to mallory", pair.room)
            #expect(try await pair.alice.devices(of: pair.bob.user).isEmpty)
            let forged = pair.bob.forgedKeys()
            pair.alice.line.change { request, answer in
                guard request.pathAndQuery.contains("/keys/query") else { return answer }
                return substituting(forged, for: pair.bob, in: answer)
            }
            try await pair.alice.noteChanged(pair.bob.user)
            try await pair.alice.step()
            do {
                try await pair.alice.say("not to the changed device", pair.room)
                return .decrypted
            } catch EncryptionError.changedKey {
                return .refused("changed key")
            } catch ClientError.encryption(.changedKey) {
                return .refused("changed key")
            }
        },
        FaultCase("server turns encryption off", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            pair.alice.line.change { request, answer in
                guard request.pathAndQuery.contains("/sync") else { return answer }
                var answer = answer
                answer["rooms"] = [
                    "join": [
                        pair.room.text: [
                            "timeline": [
                                "events": [
                                    [
                                        "type": "m.room.encryption", "state_key": "", "sender": "@alice:a.test",
                                        "content": [:], "event_id": "$off", "origin_server_ts": 1,
                                    ]
                                ]
                            ]
                        ]
                    ]
                ]
                return answer
            }
            try await pair.alice.step()
            pair.alice.line.change(nil)
            try await pair.alice.say("still sealed", pair.room)
            let sent = try await pair.alice.client.call(
                APICall(.getRoomEvents, ["roomId": pair.room.text], query: [("dir", "b"), ("limit", "1")]))
            #expect(sent["chunk"]?.elements.first?["type"]?.string == "m.room.encrypted")
            return try await pair.bobReads("hello", "hi", "still sealed")
        },
    ]

    private static func substituting(_ keys: JSONValue, for device: FaultDevice, in answer: JSONValue) -> JSONValue {
        guard answer["device_keys", device.user.text] != nil else { return answer }
        var answer = answer
        var all = answer["device_keys"] ?? [:]
        all[device.user.text] = [device.device.text: keys]
        answer["device_keys"] = all
        return answer
    }
}
