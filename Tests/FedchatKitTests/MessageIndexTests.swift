import Cryptography
import MatrixModel
import Ratchet
import SQLDatabase
import Testing

@testable import ClientEncryption

@Suite("Indexes of messages, and the end of room keys") struct MessageIndexTests {
    let server = PretendServer()

    private func device(_ name: String) async throws -> PretendDevice {
        let device = try await PretendDevice(name, on: server)
        try await device.upload()
        return device
    }

    private func count(_ table: String, _ device: PretendDevice) async throws -> Int {
        try await device.write { try $0.query("SELECT COUNT(*) FROM \(raw: table)").first?.int(0) ?? 0 }
    }

    private func replay(_ event: JSONValue, as id: String) -> JSONValue {
        var replay = event
        replay["event_id"] = .string(id)
        return replay
    }

    @Test func `a hundred messages take four rows, and each repetition is found`() async throws {
        let (alice, bob) = (try await device("alice"), try await device("bob"))
        var events: [JSONValue] = []
        for number in 0..<100 { events.append(try await alice.say("\(number)", to: [bob.user])) }
        try await bob.sync()
        let sessions = Set(events.map { $0["content", "session_id"] })
        #expect(sessions.count == 1)

        for number in Array(0..<100).shuffled() { #expect(try await bob.read(events[number]) == "\(number)") }

        #expect(try await count("message_blocks", bob) == 4)
        for number in 0..<100 {
            #expect(try await bob.read(events[number]) == "\(number)", "the same event may be read again")
            await #expect(throws: EncryptionError.replayed) {
                try await bob.read(replay(events[number], as: "$other\(number)"))
            }
        }
        #expect(try await count("message_blocks", bob) == 4)
    }

    @Test func `of a session without end the newest messages are kept, and no older one is read twice`() async throws {
        let bob = try await device("bob")
        let (machine, room) = (bob.machine, try RoomID("!room:a"))
        let step = UInt32(Limits.indexesPerBlock)
        let blocks = UInt32(Limits.blocksPerSession)
        func bind(_ index: UInt32, _ event: String) async throws {
            let event = try EventID(event)
            try await bob.write { try machine.bind(index, of: "session", room, to: event, in: $0) }
        }
        try await bob.write { connection in
            for block in 0..<blocks + 2 {
                try machine.bind(block * step, of: "session", room, to: try EventID("$\(block)"), in: connection)
            }
        }

        #expect(try await count("message_blocks", bob) == Limits.blocksPerSession)
        try await bind((blocks + 1) * step, "$\(blocks + 1)")
        for index in [0, 1, step, 2 * step - 1] {
            await #expect(throws: EncryptionError.replayed) { try await bind(index, "$again") }
        }
        await #expect(throws: EncryptionError.replayed) { try await bind(2 * step, "$again") }
        try await bind(2 * step + 1, "$new")
        try await bind(.max, "$last")
        await #expect(throws: EncryptionError.replayed) { try await bind(.max, "$again") }
        #expect(try await count("message_blocks", bob) == Limits.blocksPerSession)
    }

    @Test func `a room that is forgotten leaves nothing behind`() async throws {
        let (alice, bob) = (try await device("alice"), try await device("bob"))
        let event = try await alice.say("x", to: [bob.user])
        try await bob.sync()
        _ = try await bob.read(event)
        let own = try await bob.say("y", to: [alice.user])
        let (machine, room) = (bob.machine, try RoomID(PretendDevice.room))
        let view = try JSONDocument(event.serialized()).root
        try await bob.write { connection in
            _ = try machine.requestKey(of: room, "some session", in: connection)
            try machine.noteAcceptedInvite(to: room, from: alice.user, in: connection)
            try machine.noteUnread(
                view, in: room, Undecryptable(cause: .noRoomKey, code: nil, reason: nil, session: "x", remedies: []),
                in: connection)
        }

        try await bob.write { try machine.forgetRoom(room, in: $0) }

        let left = try await bob.write { connection in
            try connection.query(
                """
                SELECT DISTINCT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
                WHERE m.type = 'table' AND c.name = 'room_id'
                """
            ).map { try $0.text(0) }.filter { table in
                try !connection.query("SELECT 1 FROM \(raw: table) WHERE room_id = \(room.text)").isEmpty
            }
        }
        #expect(left == [])
        await #expect(throws: EncryptionError.self) { try await bob.read(event) }
        await #expect(throws: EncryptionError.self) { try await bob.read(replay(event, as: "$other")) }
        #expect(own["content", "session_id"] != (try await bob.say("z", to: [alice.user]))["content", "session_id"])
    }

    @Test func `who floods us with keys displaces its own, and rooms we are not in go first`() async throws {
        let bob = try await device("bob")
        let (machine, clock) = (bob.machine, bob.clock)
        let (kitchen, elsewhere) = (try RoomID("!kitchen:a"), try RoomID("!elsewhere:a"))
        func give(_ count: Int, of device: String, in room: RoomID) async throws {
            let origin = RoomKeyOrigin(
                owner: try UserID("@\(device):a"), curve25519: device, ed25519: device, source: .roomKey,
                sharesHistory: false)
            try await bob.write { connection in
                for _ in 0..<count {
                    let session = OutboundGroupSession(random: SystemRandomSource()).inbound
                    #expect(try machine.keep(session, room: room, origin, in: connection))
                    // Of its owner, and of somebody else who says that it is theirs.
                    for name in [session.id, "\(session.id) @eve:a"] {
                        try machine.bind(0, of: name, room, to: try EventID("$\(clock.now)"), in: connection)
                    }
                }
            }
        }
        func left(_ device: String) async throws -> Int {
            try await bob.write { connection in
                try connection.query(
                    "SELECT COUNT(*) FROM inbound_group_sessions WHERE curve25519 = \(device)"
                ).first?.int(0) ?? 0
            }
        }
        try await give(3, of: "alice", in: kitchen)
        try await give(40, of: "mallory", in: kitchen)
        try await give(2, of: "carol", in: kitchen)
        try await give(5, of: "dave", in: elsewhere)

        let few = try await bob.write {
            try machine.forgetExcessRoomKeys(keeping: [kitchen], limit: 50, in: $0)
        }
        #expect(few == 0)
        let gone = try await bob.write {
            try machine.forgetExcessRoomKeys(keeping: [kitchen], limit: 20, in: $0)
        }

        #expect(gone == 32)
        #expect(try await [left("alice"), left("carol"), left("dave")] == [3, 2, 0])
        #expect(try await left("mallory") == 13)
        #expect(try await count("message_blocks", bob) == 36, "what is bound goes with its session")
        #expect(try await count("inbound_group_sessions", bob) == 18)
    }

    @Test func `of a store of before each repetition is still found`() async throws {
        let (alice, bob) = (try await device("alice"), try await device("bob"))
        var events: [JSONValue] = []
        for number in 0..<40 { events.append(try await alice.say("\(number)", to: [bob.user])) }
        try await bob.sync()
        let (session, kept) = (events[0]["content", "session_id"]?.string ?? "", events.dropLast())
        try await bob.write { connection in
            try connection.execute("DROP TABLE message_blocks")
            try connection.execute(
                """
                CREATE TABLE message_indexes (
                    room_id TEXT NOT NULL, session_id TEXT NOT NULL, message_index BIGINT NOT NULL,
                    event_id TEXT NOT NULL, origin_server_ts BIGINT NOT NULL,
                    PRIMARY KEY (room_id, session_id, message_index))
                """)
            for (index, event) in kept.enumerated() {
                try connection.execute(
                    """
                    INSERT INTO message_indexes
                    VALUES (\(PretendDevice.room), \(session), \(index), \(event["event_id"]?.string), 0)
                    """)
            }
            for statement in EncryptionSchema.messageBlocks(connection.dialect) { try connection.execute(statement) }
        }

        #expect(try await count("message_blocks", bob) == 2)
        for number in 0..<39 {
            await #expect(throws: EncryptionError.replayed) {
                try await bob.read(replay(events[number], as: "$other\(number)"))
            }
            #expect(try await bob.read(events[number]) == "\(number)")
        }
        #expect(try await bob.read(replay(events[39], as: "$first")) == "39", "it was not read before")
        await #expect(throws: EncryptionError.replayed) { try await bob.read(events[39]) }
    }
}
