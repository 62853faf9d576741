import HTTPTypes
import MatrixModel
import Testing

@testable import Homeserver

@Suite("Key backup") struct KeyBackupTests {
    private func key(_ index: Int64, forwarded: Int64 = 0, verified: Bool = false, _ text: String = "x") -> JSONValue {
        [
            "first_message_index": .integer(index), "forwarded_count": .integer(forwarded),
            "is_verified": .bool(verified), "session_data": ["ciphertext": .string(text)],
        ]
    }

    private func create(_ user: Client) async throws -> String {
        let answer = try await user.call(
            .post, "room_keys/version",
            ["algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": ["public_key": "abc"]])
        return answer["version"]?.string ?? "none"
    }

    @Test func `a version tells what was kept, and none is M_NOT_FOUND`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        #expect(try await alice.call(.get, "room_keys/version").errcode == "M_NOT_FOUND")
        let version = try await create(alice)
        #expect(
            try await alice.call(.get, "room_keys/version").body == [
                "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": ["public_key": "abc"],
                "count": 0, "etag": "0", "version": .string(version),
            ])
        let bob = try await server.register("bob")
        #expect(try await bob.call(.get, "room_keys/version/\(version)").status == 404)
    }

    @Test func `what a backup says of itself changes, its algorithm does not`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let version = try await create(alice)
        let algorithm: JSONValue = "m.megolm_backup.v1.curve25519-aes-sha2"
        let path = "room_keys/version/\(version)"
        #expect(
            try await alice.call(.put, path, ["algorithm": algorithm, "auth_data": ["public_key": "new"]]).status == 200
        )
        #expect(try await alice.call(.get, path)["auth_data"] == ["public_key": "new"])
        #expect(
            try await alice.call(.put, path, ["algorithm": "other", "auth_data": [:]]).errcode == "M_INVALID_PARAM")
        #expect(
            try await alice.call(.put, path, ["algorithm": algorithm, "auth_data": [:], "version": "77"]).errcode
                == "M_INVALID_PARAM")
        #expect(
            try await alice.call(.put, "room_keys/version/77", ["algorithm": algorithm, "auth_data": [:]]).status == 404
        )
    }

    @Test func `a version number is never given twice, and one deleted may be deleted again`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let first = try await create(alice)
        _ = try await alice.call(.put, "room_keys/keys/!r:x/s?version=\(first)", key(0))
        for _ in 0..<2 { #expect(try await alice.call(.delete, "room_keys/version/\(first)").status == 200) }
        #expect(try await alice.call(.delete, "room_keys/version/99").status == 404)
        #expect(try await alice.call(.delete, "room_keys/version/0").status == 404)
        let second = try await create(alice)
        #expect(second != first)
        #expect(try await alice.call(.get, "room_keys/keys?version=\(second)").body == ["rooms": [:]])
    }

    @Test func `keys go in and come out by session, by room and all at once`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let version = try await create(alice)
        let one = try await alice.call(.put, "room_keys/keys/!a:x/s1?version=\(version)", key(1))
        #expect(one.body == ["etag": "1", "count": 1])
        let two = try await alice.call(
            .put, "room_keys/keys/!a:x?version=\(version)", ["sessions": ["s2": key(2), "s3": key(3)]])
        #expect(two.body == ["etag": "2", "count": 3])
        let three = try await alice.call(
            .put, "room_keys/keys?version=\(version)", ["rooms": ["!b:x": ["sessions": ["s\"4": key(4)]]]])
        #expect(three.body == ["etag": "3", "count": 4])

        let inA: JSONValue = ["sessions": ["s1": key(1), "s2": key(2), "s3": key(3)]]
        #expect(try await alice.call(.get, "room_keys/keys/!a:x/s2?version=\(version)").body == key(2))
        #expect(try await alice.call(.get, "room_keys/keys/!a:x?version=\(version)").body == inA)
        #expect(try await alice.call(.get, "room_keys/keys/!none:x?version=\(version)").body == ["sessions": [:]])
        #expect(try await alice.call(.get, "room_keys/keys/!a:x/none?version=\(version)").errcode == "M_NOT_FOUND")
        #expect(
            try await alice.call(.get, "room_keys/keys?version=\(version)").body
                == ["rooms": ["!a:x": inA, "!b:x": ["sessions": ["s\"4": key(4)]]]])

        let gone = try await alice.call(.delete, "room_keys/keys/!a:x/s1?version=\(version)")
        #expect(gone.body == ["etag": "4", "count": 3])
        #expect(
            try await alice.call(.delete, "room_keys/keys/!a:x/s1?version=\(version)").body == [
                "etag": "4", "count": 3,
            ])
        #expect(
            try await alice.call(.delete, "room_keys/keys/!a:x?version=\(version)").body == ["etag": "5", "count": 1])
        #expect(try await alice.call(.delete, "room_keys/keys?version=\(version)").body == ["etag": "6", "count": 0])
    }

    @Test func `a large backup comes out whole over many pages`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let version = try await create(alice)
        var rooms: [String: JSONValue] = [:]
        for room in 0..<3 {
            var sessions: [String: JSONValue] = [:]
            for session in 0..<(DeviceLimits.backupKeysPerPage / 2) { sessions["s\(session)"] = key(Int64(session)) }
            rooms["!r\(room):x"] = ["sessions": .object(sessions)]
        }
        let body: JSONValue = ["rooms": .object(rooms)]
        #expect(try await alice.call(.put, "room_keys/keys?version=\(version)", body).status == 200)
        #expect(try await alice.call(.get, "room_keys/keys?version=\(version)").body == body)
        #expect(try await alice.call(.get, "room_keys/keys/!r1:x?version=\(version)").body == rooms["!r1:x"])
    }

    /// Spec: verified before not, then the lower first index, then the lower forwarded count; else what is there stays.
    @Test(
        arguments: [
            ((5, 5, false), (9, 9, true), true), ((5, 5, true), (0, 0, false), false),
            ((5, 5, true), (4, 9, true), true), ((5, 5, true), (6, 0, true), false),
            ((5, 5, false), (5, 4, false), true), ((5, 5, false), (5, 6, false), false),
            ((5, 5, false), (5, 5, false), false),
        ] as [((Int64, Int64, Bool), (Int64, Int64, Bool), Bool)])
    func `the better key stays`(old: (Int64, Int64, Bool), new: (Int64, Int64, Bool), replaces: Bool) async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let version = try await create(alice)
        let path = "room_keys/keys/!a:x/s?version=\(version)"
        _ = try await alice.call(.put, path, key(old.0, forwarded: old.1, verified: old.2, "old"))
        let answer = try await alice.call(.put, path, key(new.0, forwarded: new.1, verified: new.2, "new"))
        #expect(answer.body == ["etag": replaces ? "2" : "1", "count": 1])
        let kept = try await alice.call(.get, path)["session_data"]?["ciphertext"]
        #expect(kept == (replaces ? "new" : "old"))
    }

    @Test func `keys go into the newest version only`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        #expect(try await alice.call(.put, "room_keys/keys/!a:x/s?version=1", key(0)).errcode == "M_NOT_FOUND")
        let old = try await create(alice)
        let new = try await create(alice)
        let answer = try await alice.call(.put, "room_keys/keys/!a:x/s?version=\(old)", key(0))
        #expect(answer.status == 403)
        #expect(answer.errcode == "M_WRONG_ROOM_KEYS_VERSION")
        #expect(answer["current_version"] == .string(new))
    }

    @Test func `what is no key is refused and nothing of it kept`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let version = try await create(alice)
        let path = "room_keys/keys/!a:x"
        var bad = key(0)
        bad["session_data"] = "text"
        let answer = try await alice.call(
            .put, "\(path)?version=\(version)", ["sessions": ["good": key(0), "bad": bad]])
        #expect(answer.errcode == "M_BAD_JSON")
        #expect(try await alice.call(.get, "\(path)?version=\(version)").body == ["sessions": [:]])
        #expect(try await alice.call(.put, path, ["sessions": [:]]).errcode == "M_MISSING_PARAM")
        #expect(try await alice.call(.put, "\(path)/s?version=\(version)", key(-1)).errcode == "M_BAD_JSON")
    }

    @Test func `beyond the bound the oldest backup goes`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let first = try await create(alice)
        for _ in 0..<HomeserverConfiguration.Limits().keyBackupsPerUser { _ = try await create(alice) }
        #expect(try await alice.call(.get, "room_keys/version/\(first)").status == 404)
        #expect(try await alice.call(.get, "room_keys/version/2").status == 200)
    }
}
