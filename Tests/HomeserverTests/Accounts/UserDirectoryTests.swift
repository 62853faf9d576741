import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Testing

@Suite("User directory") struct UserDirectoryTests {
    private static let server = "a.test"

    /// Users with display names, in a database of either engine.
    private static func directory(
        _ store: TestStore, _ names: [String: String], _ test: (any Database) async throws -> Void
    ) async throws {
        try await store.run { database, _ in
            try await Instance.migrate(database)
            try await database.write { connection in
                for (name, shown) in names {
                    let user = try UserID("@\(name):\(server)")
                    _ = try AccountStore(connection).create(Account(user: user, passwordHash: nil, created: 0))
                    _ = try ProfileStore(connection).set(
                        "displayname", json: String(decoding: JSONValue.string(shown).serialized(), as: UTF8.self),
                        of: user)
                }
            }
            try await test(database)
        }
    }

    private static func search(
        _ database: any Database, _ term: String, as asker: String = "asker", limit: Int = 10
    ) async throws -> [String] {
        let (server, user) = (try ServerName(server), try UserID("@\(asker):\(server)"))
        return try await database.read { connection in
            try UserDirectory(connection).search(term, for: user, server: server, limit: limit).map(\.user.text)
        }
    }

    @Test(arguments: TestStore.available)
    func `every word begins a word of the name or the id`(store: TestStore) async throws {
        let names = [
            "alice": "Alice Liddell", "al.b": "Albert", "zoe": "Zoë Ähre", "liddell": "Somebody", "x1": "李 小龍",
            "asker": "Alice Asker",
        ]
        try await Self.directory(store, names) { (database: any Database) async throws in
            func found(_ term: String) async throws -> [String] { try await Self.search(database, term) }
            #expect(try await found("AL") == ["@al.b:a.test", "@alice:a.test"])
            #expect(try await found("alice lid") == ["@alice:a.test"])
            #expect(try await found("lid ali") == ["@alice:a.test"])
            #expect(try await found("liddell") == ["@liddell:a.test", "@alice:a.test"])
            #expect(try await found("lice") == [])
            #expect(try await found("ÄHR") == ["@zoe:a.test"])
            #expect(try await found("小") == ["@x1:a.test"])
            #expect(try await found("@al") == ["@al.b:a.test", "@alice:a.test"])
            #expect(try await found("@alice:a.test") == ["@alice:a.test"])
            #expect(try await found("@alice:b.test") == [])
            #expect(try await found("%") == [])
            #expect(try await Self.search(database, "al", limit: 1) == ["@al.b:a.test"])
        }
    }

    @Test(arguments: TestStore.available)
    func `who is gone, locked or a guest is not found, and a new name is`(store: TestStore) async throws {
        try await Self.directory(store, ["one": "Fox", "two": "Fox", "three": "Fox", "four": "Fox"]) {
            (database: any Database) async throws in
            try await database.write { connection in
                let accounts = AccountStore(connection)
                try accounts.deactivate(UserID("@one:a.test"), erase: false)
                try accounts.set(.locked, true, of: UserID("@two:a.test"))
                try accounts.set(.erased, true, of: UserID("@three:a.test"))
                _ = try accounts.create(
                    Account(user: UserID("@five:a.test"), passwordHash: nil, created: 0, isGuest: true))
                _ = try ProfileStore(connection).set("displayname", json: "\"Fox\"", of: UserID("@five:a.test"))
            }
            #expect(try await Self.search(database, "fox") == ["@four:a.test"])
            try await database.write { connection in
                _ = try ProfileStore(connection).set("displayname", json: "\"Wolf\"", of: UserID("@four:a.test"))
                _ = try AccountStore(connection).reactivate(UserID("@one:a.test"), passwordHash: nil)
            }
            #expect(try await Self.search(database, "fox") == ["@one:a.test"])
            #expect(try await Self.search(database, "wolf") == ["@four:a.test"])
            try await database.write { _ = try ProfileStore($0).delete("displayname", of: UserID("@four:a.test")) }
            #expect(try await Self.search(database, "wolf") == [])
            #expect(try await Self.search(database, "four") == ["@four:a.test"])
        }
    }

    @Test(arguments: TestStore.available)
    func `of other servers those are found who share a room or are in a public one`(store: TestStore) async throws {
        try await Self.directory(store, ["asker": "Asker"]) { (database: any Database) async throws in
            try await database.write { connection in
                for (room, published) in [(Int64(1), 0), (2, 1), (3, 0)] {
                    try connection.execute(
                        """
                        INSERT INTO rooms (room_nid, room_id, version, head_version, state, extremities, depth, published)
                        VALUES (\(room), \("!r\(room):a.test"), '12', 0, \([UInt8](repeating: 0, count: 16)), \([UInt8]()),
                            0, \(published))
                        """)
                }
                let members: [(Int64, String, String, String?)] = [
                    (1, "@asker:a.test", "join", "Asker"), (1, "@near:b.test", "join", "Émile Fox"),
                    (1, "@was:b.test", "leave", "Gone Fox"), (2, "@public:b.test", "join", "Public Fox"),
                    (3, "@hidden:b.test", "join", "Hidden Fox"), (1, "@plain.fox:b.test", "join", nil),
                ]
                for (room, user, membership, name) in members {
                    try connection.execute(
                        """
                        INSERT INTO room_members (room_nid, user_id, server, membership, event_nid, position, displayname)
                        VALUES (\(room), \(user), \(String(user.split(separator: ":")[1])), \(membership), 1, 1, \(name))
                        """)
                }
            }
            #expect(
                try await Self.search(database, "fox") == ["@near:b.test", "@plain.fox:b.test", "@public:b.test"])
            #expect(try await Self.search(database, "émile") == ["@near:b.test"])
            #expect(try await Self.search(database, "ÉMILE fox") == ["@near:b.test"])
            #expect(try await Self.search(database, "@pub") == ["@public:b.test"])
            #expect(try await Self.search(database, "ox") == [])
        }
    }

    @Test(arguments: TestStore.available)
    func `accounts of before are taken in step by step`(store: TestStore) async throws {
        var names: [String: String] = [:]
        for number in 0..<1_100 { names["user\(number)"] = "Old \(number)" }
        try await Self.directory(store, names) { (database: any Database) async throws in
            try await database.write { try $0.execute("DELETE FROM user_directory_words") }
            #expect(try await Self.search(database, "old") == [])
            var steps = 0
            while try await database.write({ try UserDirectory($0).buildStep() }) { steps += 1 }
            #expect(steps == 3)
            let isMore = try await database.write { try UserDirectory($0).buildStep() }
            #expect(!isMore)
            #expect(try await Self.search(database, "old 1099") == ["@user1099:a.test"])
        }
    }
}
