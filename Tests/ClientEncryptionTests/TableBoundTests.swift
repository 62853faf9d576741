import Cryptography
import MatrixModel
import SQLDatabase
import Testing

@testable import ClientEncryption

@Suite("Tables that others fill") struct TableBoundTests {
    let server = KeyServer()
    private typealias Noting = @Sendable (EncryptionMachine, any SQLConnection) throws -> Void

    /// Fills a table to its bound with older rows, notes one more, and says how many are left and whether the oldest is.
    private func left(
        _ table: SQL, by column: SQL, filling rows: SQL, upTo count: Int64, _ note: @escaping Noting
    ) async throws -> (count: Int64, oldest: Bool) {
        let alice = try await TrustDevice("alice", on: server)
        return try await alice.write { machine, connection in
            try connection.execute(
                """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
                INSERT INTO \(table) SELECT \(rows) FROM n
                """)
            try note(machine, connection)
            return (
                try connection.query("SELECT COUNT(*) FROM \(table)").first?.integer(0) ?? 0,
                try !connection.query("SELECT 1 FROM \(table) WHERE \(column) = 1").isEmpty
            )
        }
    }

    @Test func `requests for keys have a bound`() async throws {
        let request: JSONValue = [
            "action": "request", "request_id": "new", "requesting_device_id": "TABLET",
            "body": ["algorithm": "m.megolm.v1.aes-sha2", "room_id": "!room:a", "session_id": "s"],
        ]
        let view = try JSONDocument(request.serialized()).root
        let left = try await left(
            "incoming_key_requests", by: "received_at", filling: "'D', 'r' || i, '!room:a', 's', i",
            upTo: Limits.incomingKeyRequests
        ) { try $0.noteKeyRequest(view, from: $0.user, in: $1) }
        #expect(left == (Limits.incomingKeyRequests, false))
    }

    @Test func `withheld codes have a bound`() async throws {
        let left = try await left(
            "received_withheld", by: "received_at",
            filling: "'!room:a', 's' || i, '@eve:a', 'm.unverified', NULL, i, 0",
            upTo: Limits.receivedWithheld
        ) { try $0.noteWithheld("!room:a", "new", by: "@eve:a", code: "m.unverified", reason: nil, in: $1) }
        #expect(left == (Limits.receivedWithheld, false))
    }

    @Test func `broken channels have a bound`() async throws {
        let eve = try UserID("@eve:a")
        let left = try await left(
            "wedged_senders", by: "failed_at", filling: "'@eve:a', 'c' || i, i, 0", upTo: Limits.wedgedSenders
        ) { try $0.noteWedged(eve, "new", in: $1) }
        #expect(left == (Limits.wedgedSenders, false))
    }

    @Test func `events that could not be read have a bound`() async throws {
        let event = try JSONDocument(
            JSONValue.object(["event_id": "$new", "sender": "@eve:a"]).serialized()
        ).root
        let room = try RoomID("!room:a")
        let left = try await left(
            "unread_events", by: "failed_at", filling: "'$' || i, '!room:a', '', 'malformed', i, '@eve:a', NULL",
            upTo: Limits.unreadEvents
        ) { machine, connection in
            let why = try machine.explain(.malformed(path: "x"), event, in: room, in: connection)
            try machine.noteUnread(event, in: room, why, in: connection)
        }
        #expect(left == (Limits.unreadEvents, false))
    }

    @Test func `hashes of messages that were read have a bound`() async throws {
        let (alice, bob) = (try await TrustDevice("alice", on: server), try await TrustDevice("bob", on: server))
        try await alice.look(at: bob)
        try await alice.claim(bob.user)
        try await alice.prepareRoomKey(for: bob)
        try await alice.flush()
        try await bob.write { _, connection in
            _ = try connection.execute(
                """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(Limits.readOlmMessages))
                INSERT INTO read_olm_messages SELECT CAST('h' || i AS BLOB), -i FROM n
                """)
        }
        #expect(try await bob.sync().roomKeys.count == 1)
        let (count, oldest) = try await bob.write { _, connection in
            (
                try connection.query("SELECT COUNT(*) FROM read_olm_messages").first?.integer(0),
                try connection.query("SELECT MIN(number) FROM read_olm_messages").first?.integer(0)
            )
        }
        #expect(count == Limits.readOlmMessages && oldest == 1 - Limits.readOlmMessages)
    }

    @Test func `bundles of keys have a bound`() async throws {
        let (alice, bob) = (try await TrustDevice("alice", on: server), try await TrustDevice("bob", on: server))
        try await bob.makeIdentity()
        try await alice.look(at: bob)
        try await bob.look(at: alice)
        try await alice.claim(bob.user)
        try await bob.write { _, connection in
            _ = try connection.execute(
                """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(Limits.keyBundles))
                INSERT INTO key_bundles SELECT '!' || i || ':a', '@eve:a', 'c', 'e', CAST('x' AS BLOB), i, 0 FROM n
                """)
        }
        let room = try RoomID("!room:a")
        #expect(
            try await alice.write { try $0.shareKeyBundle(["url": "mxc://a/b"], of: room, with: bob.user, in: $1) } == 1
        )
        try await alice.flush()
        try await bob.sync()
        let rooms = try await bob.write { try $1.query("SELECT room_id FROM key_bundles").map { try $0.text(0) } }
        #expect(rooms.count == Int(Limits.keyBundles) && rooms.contains("!room:a") && !rooms.contains("!1:a"))
    }

    @Test(arguments: [0, 1, 2, 5, 6] as [Int64]) func `the newest stay, and all of one moment`(count: Int64)
        async throws
    {
        let alice = try await TrustDevice("alice", on: server)
        let kept = try await alice.write { machine, connection in
            for (curve, time) in [("a", 1), ("b", 2), ("c", 3), ("d", 3), ("e", 4)] {
                try connection.execute("INSERT INTO wedged_senders VALUES ('@eve:a', \(curve), \(time), 0)")
            }
            try machine.keepNewest(count, of: "wedged_senders", by: "failed_at", in: connection)
            return try connection.query("SELECT curve25519 FROM wedged_senders ORDER BY 1").map { try $0.text(0) }
        }
        #expect(kept.joined() == (count <= 1 ? "e" : count == 2 ? "cde" : "abcde"))
    }
}
