internal import Cryptography
public import MatrixAPI
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// A `/keys/query` to be made, and for which state of knowledge.
public struct KeyQuery: Sendable {
    /// `POST /keys/query`
    public let call: APICall
    let users: [UserID: Int64]
}

extension EncryptionMachine {
    /// Begins to follow the devices of users with whom an encrypted room is shared.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user>
    public func track(_ users: some Sequence<UserID>, in connection: any SQLConnection) throws {
        for user in users {
            try connection.execute(
                """
                INSERT INTO tracked_users VALUES (\(user.text), 1, 0, 0) ON CONFLICT (user_id) DO NOTHING
                """)
        }
    }

    func noteChangedUsers(_ users: [UserID], in connection: any SQLConnection) throws {
        for user in users {
            let generation = try nextGeneration(in: connection)
            try connection.execute(
                """
                UPDATE tracked_users SET wanted = \(generation) + 1, retry_at = 0 WHERE user_id = \(user.text)
                """)
        }
    }

    /// Who has left all shared rooms is followed no more; the keys first seen stay known.
    func noteLeftUsers(_ users: [UserID], in connection: any SQLConnection) throws {
        for user in users where user != self.user {
            try connection.execute("DELETE FROM tracked_users WHERE user_id = \(user.text)")
        }
    }

    /// The query that is due, among `users` if they are given.
    public func keyQuery(for users: [UserID]? = nil, in connection: any SQLConnection) throws -> KeyQuery? {
        var wanted: [UserID: Int64] = [:]
        let only = users.map { Set($0.map(\.text)) }
        let rows = try connection.query(
            "SELECT user_id, wanted FROM tracked_users WHERE current < wanted AND retry_at <= \(now())")
        for row in rows {
            let text = try row.text(0)
            if let only, !only.contains(text) { continue }
            guard wanted.count < Limits.usersPerQuery else { break }
            wanted[try UserID(text)] = try row.integer(1)
        }
        guard !wanted.isEmpty else { return nil }
        let asked = JSONValue.object(Dictionary(wanted.keys.map { ($0.text, JSONValue.array([])) }) { $1 })
        return KeyQuery(
            call: APICall(
                .queryKeys, body: ["device_keys": asked, "timeout": .integer(Limits.remoteKeysMilliseconds)]),
            users: wanted)
    }

    /// Takes the answer in. Devices whose keys do not verify are left out; keys that differ from those first seen are
    /// refused and reported.
    public func queried(
        _ query: KeyQuery, response: JSONView, in connection: any SQLConnection
    ) throws -> SyncOutcome {
        var outcome = SyncOutcome()
        let failed = Set((response["failures"]?.members ?? []).map(\.key))
        for (user, generation) in query.users {
            guard let devices = response["device_keys"]?[user.text], devices.isObject else {
                if failed.contains(user.serverName.text) {
                    let retry = now() + Limits.claimRetryMilliseconds
                    try connection.execute(
                        "UPDATE tracked_users SET retry_at = \(retry) WHERE user_id = \(user.text)")
                    continue
                }
                try finishQuery(of: user, generation, present: [], in: connection)
                continue
            }
            var present: Set<String> = []
            for (name, view) in devices.members.prefix(Limits.devicesPerUser) {
                do {
                    let keys = try DeviceKeys(view, of: user, device: try DeviceID(name))
                    present.insert(name)
                    if let changed = try keep(keys, in: connection) { outcome.changedKeys.append(changed) }
                } catch let error as DatabaseError {
                    throw error
                } catch {
                    outcome.warnings.append("a device of \(user) was left out: \(error)")
                }
            }
            try finishQuery(of: user, generation, present: present, in: connection)
        }
        try takeIdentities(of: query.users.keys, response, &outcome, in: connection)
        return outcome
    }

    private func finishQuery(
        of user: UserID, _ generation: Int64, present: Set<String>, in connection: any SQLConnection
    ) throws {
        for row in try connection.query("SELECT device_id FROM devices WHERE user_id = \(user.text) AND gone = 0") {
            let name = try row.text(0)
            guard !present.contains(name) else { continue }
            try connection.execute(
                "UPDATE devices SET gone = 1, changed = 0 WHERE user_id = \(user.text) AND device_id = \(name)")
        }
        try connection.execute(
            "UPDATE tracked_users SET current = \(generation), retry_at = 0 WHERE user_id = \(user.text)")
    }

    /// Pins a device at its first sight; refuses other keys afterwards.
    func keep(_ keys: DeviceKeys, in connection: any SQLConnection) throws -> ChangedKey? {
        let curve = Base64.encode(keys.curve25519.bytes)
        let ed = Base64.encode(keys.ed25519.bytes)
        if keys.user == user, keys.device == device {
            let account = try account(in: connection)
            guard keys.ed25519 == account.ed25519Key, keys.curve25519 == account.curve25519Key else {
                return ChangedKey(user: user, device: device)
            }
        }
        guard let known = try knownDevice(keys.user, keys.device, in: connection) else {
            try connection.execute(
                """
                INSERT INTO devices VALUES (\(keys.user.text), \(keys.device.text), \(curve), \(ed), 0, 0,
                    \(keys.displayName), \(now()), 0, 0, 0)
                """)
            return nil
        }
        let isSame = known.curve25519 == curve && known.ed25519 == ed
        try connection.execute(
            """
            UPDATE devices SET gone = 0, changed = \(isSame ? 0 : 1), display_name = \(keys.displayName)
            WHERE user_id = \(keys.user.text) AND device_id = \(keys.device.text)
            """)
        return isSame ? nil : ChangedKey(user: keys.user, device: keys.device)
    }

    func knownDevice(
        _ user: UserID, _ device: DeviceID, in connection: any SQLConnection
    ) throws -> KnownDevice? {
        try connection.query(
            """
            SELECT \(KnownDevice.columns) FROM devices WHERE user_id = \(user.text) AND device_id = \(device.text)
            """
        ).first.map(KnownDevice.init)
    }

    /// The devices of a user that are there now.
    public func devices(of user: UserID, in connection: any SQLConnection) throws -> [KnownDevice] {
        try connection.query(
            """
            SELECT \(KnownDevice.columns) FROM devices WHERE user_id = \(user.text) AND gone = 0 ORDER BY device_id
            """
        ).map(KnownDevice.init)
    }

    /// Forgets the keys first seen of a device, at the user's own word: the present ones are taken at the next query.
    public func acceptNewKeys(of user: UserID, _ device: DeviceID, in connection: any SQLConnection) throws {
        try connection.execute(
            "DELETE FROM devices WHERE user_id = \(user.text) AND device_id = \(device.text)")
        try track([user], in: connection)
        try noteChangedUsers([user], in: connection)
    }
}
