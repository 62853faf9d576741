import Cryptography
import MatrixModel
import Testing

@Suite("Contents of state events") struct RoomContentsTests {
    private func event(_ type: EventType, _ content: JSONValue, _ version: RoomVersion = .v12) throws -> PDU {
        try TestEvents.message(version, type: type, stateKey: "", content: content)
    }

    @Test func `the history visibility is shared unless it is one that is known`() throws {
        for visibility in HistoryVisibility.allCases {
            let content: JSONValue = ["history_visibility": .string(visibility.rawValue)]
            #expect(HistoryVisibility(try event(.historyVisibility, content)) == visibility)
        }
        #expect(HistoryVisibility(nil) == .shared)
        #expect(HistoryVisibility(try event(.historyVisibility, ["history_visibility": "nobody"])) == .shared)
        #expect(HistoryVisibility(try event(.historyVisibility, [:])) == .shared)
    }

    @Test func `a topic's plain text is the first representation of it, or the old field where there is none`() throws {
        func topic(_ representations: JSONValue) throws -> String? {
            let content: JSONValue = ["topic": "old", "m.topic": ["m.text": representations]]
            return RoomTopic(try event(.topic, content).content).plainText
        }
        let (html, plain): (JSONValue, JSONValue) = (
            ["mimetype": "text/html", "body": "<b>new</b>"], ["mimetype": "text/plain", "body": "new"]
        )
        #expect(try topic([html, plain]) == "new")
        #expect(try topic([html, ["body": "unnamed"], plain]) == "unnamed")
        #expect(try topic([html]) == nil)
        #expect(try topic([]) == "old")
        #expect(RoomTopic(try event(.topic, ["topic": "old"]).content).plainText == "old")
    }

    @Test func `encryption has an algorithm, and periods if they are not said`() throws {
        #expect(RoomEncryption(try event(.encryption, [:])) == nil)
        let plain = try #require(RoomEncryption(try event(.encryption, ["algorithm": "m.megolm.v1.aes-sha2"])))
        #expect(plain.rotationPeriodMilliseconds == 604_800_000 && plain.rotationPeriodMessages == 100)
        let own = try #require(
            RoomEncryption(
                try event(.encryption, ["algorithm": "x", "rotation_period_ms": 5, "rotation_period_msgs": 7])))
        #expect(own.algorithm == "x" && own.rotationPeriodMilliseconds == 5 && own.rotationPeriodMessages == 7)
    }

    @Test func `guests are forbidden unless the room says otherwise`() throws {
        #expect(GuestAccess(nil) == .forbidden)
        #expect(GuestAccess(try event(.guestAccess, ["guest_access": "can_join"])) == .canJoin)
        #expect(GuestAccess(try event(.guestAccess, ["guest_access": "perhaps"])) == .forbidden)
    }

    @Test func `tombstones and aliases are read as far as they are well formed`() throws {
        let tombstone = RoomTombstone(try event(.tombstone, ["replacement_room": "!new:one.test"]))
        #expect(tombstone.replacementRoom?.text == "!new:one.test")
        #expect(RoomTombstone(try event(.tombstone, ["replacement_room": "new"])).replacementRoom == nil)
        let aliases = CanonicalAlias(
            try event(.canonicalAlias, ["alias": "#a:one.test", "alt_aliases": ["#b:one.test", "c", 7]]))
        #expect(aliases.alias?.text == "#a:one.test" && aliases.alternatives.map(\.text) == ["#b:one.test"])
        #expect(CanonicalAlias(try event(.canonicalAlias, ["alias": 7])).alias == nil)
    }

    @Test func `the create event says what the room is`() throws {
        let create = RoomCreate(
            try TestEvents.create(
                .v12,
                content: [
                    "room_version": "12", "type": "m.space", "m.federate": false,
                    "additional_creators": ["@bob:two.test", "nobody"],
                    "predecessor": ["room_id": "!old:one.test", "event_id": "$x"],
                ]))
        let (alice, bob) = (try UserID("@alice:one.test"), try UserID("@bob:two.test"))
        #expect(create.roomType == "m.space" && !create.isFederated && create.predecessor?.text == "!old:one.test")
        #expect(create.creator == alice && create.privilegedCreators == [alice, bob])
        #expect(create.isPrivilegedCreator(alice) && create.isPrivilegedCreator(bob))
        #expect(!create.isPrivilegedCreator(try UserID("@carol:one.test")))
        let plain = RoomCreate(try TestEvents.create(.v12))
        #expect(plain.isFederated && plain.roomType == nil && plain.predecessor == nil)
        // Before version 12 nobody is above all levels.
        let old = RoomCreate(
            try TestEvents.create(.v11, content: ["room_version": "11", "additional_creators": ["@bob:two.test"]]))
        #expect(old.privilegedCreators.isEmpty && !old.isPrivilegedCreator(alice) && !old.isPrivilegedCreator(bob))
        // Up to version 10 the content names the creator.
        let named = RoomCreate(try TestEvents.create(.v10, content: ["creator": "@bob:two.test"]))
        #expect(named.creator == bob)
        #expect(RoomCreate.roomVersion(of: ["room_version": "7"] as JSONValue) == .v7)
        #expect(RoomCreate.roomVersion(of: [:] as JSONValue) == .v1)
        #expect(RoomCreate.roomVersion(of: ["room_version": 7] as JSONValue) == nil)
    }

    @Test func `join rules name rooms by membership only`() throws {
        let rules = JoinRules(
            try event(
                .joinRules,
                [
                    "join_rule": "knock_restricted",
                    "allow": [
                        ["type": "m.room_membership", "room_id": "!a:one.test"],
                        ["type": "x", "room_id": "!b:one.test"],
                        ["type": "m.room_membership", "room_id": "nowhere"], "!c:one.test",
                    ],
                ]))
        #expect(rules.rule == .knockRestricted && rules.allowedRooms.map(\.text) == ["!a:one.test"])
        #expect(JoinRules(nil).rule == .invite)
        #expect(JoinRules(try event(.joinRules, ["join_rule": "x"])).rule == nil)
        #expect(try JoinRules(try event(.joinRules, ["join_rule": "x"])).text == "x")
        #expect(JoinRules(try event(.joinRules, ["join_rule": 7])).rule == nil)
    }

    @Test func `a membership event says who, how and why`() throws {
        let member = RoomMember(
            try TestEvents.message(
                .v12, type: .member, stateKey: "@bob:two.test",
                content: [
                    "membership": "invite", "displayname": "Bob", "avatar_url": "mxc://x/y", "reason": "tea",
                    "is_direct": true, "join_authorised_via_users_server": "@carol:one.test",
                    "third_party_invite": ["signed": ["token": "t"]],
                ]))
        #expect(try member.membership == .invite && member.user?.text == "@bob:two.test")
        #expect(member.displayName == "Bob" && member.avatarURL == "mxc://x/y" && member.reason == "tea")
        #expect(member.isDirect && member.joinAuthorizedBy?.text == "@carol:one.test")
        #expect(member.thirdPartyInviteToken == "t")
        let empty = RoomMember(try event(.member, ["membership": "wave"]))
        #expect(throws: MalformedField.self) { try empty.membership }
        #expect(!empty.isDirect && empty.user == nil)
    }

    @Test func `so many keys of a third-party invite are read, the first before the list`() throws {
        func key(_ seed: UInt8) throws -> JSONValue {
            .string(Base64.encode(try TestEvents.key(seed).publicKey.bytes, .standardUnpadded))
        }
        let invite = ThirdPartyInvite(
            try event(
                .thirdPartyInvite,
                [
                    "public_key": try key(1),
                    "public_keys": [["public_key": try key(2)], ["public_key": "x"], [:], ["public_key": try key(3)]],
                ]))
        let bytes = try [1, 2, 3].map { try TestEvents.key($0).publicKey.bytes }
        #expect(invite.publicKeys(atMost: 16).map(\.bytes) == bytes)
        #expect(invite.publicKeys(atMost: 3).map(\.bytes) == Array(bytes.prefix(2)))
        #expect(invite.publicKeys(atMost: 1).map(\.bytes) == Array(bytes.prefix(1)))
        #expect(invite.publicKeys(atMost: 0).isEmpty)
        #expect(ThirdPartyInvite(try event(.thirdPartyInvite, [:])).publicKeys(atMost: 16).isEmpty)
    }
}
