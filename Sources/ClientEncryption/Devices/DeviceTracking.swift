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

/// Each tracked user has two numbers: `wanted`, new with each change that is announced, and `current`, the `wanted` of the
/// last query that was answered. A change that comes while a query is under way makes `wanted` grow, so that the answer
/// leaves the user stale.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user>
extension EncryptionMachine {
    /// Begins to follow the devices of users with whom an encrypted room is shared.
    public func track(_ users: some Sequence<UserID>, in connection: any SQLConnection) throws {
        let users = Array(users)
        let tracked = Set(
            try askAbout(users) { names in
                try connection.query("SELECT user_id FROM tracked_users WHERE user_id IN \(list: names)")
                    .map { try $0.text(0) }
            })
        for user in Set(users).sorted() where !tracked.contains(user.text) {
            // A new number: the answer to a query from before the user was followed is not enough.
            let generation = try nextGeneration(in: connection)
            try connection.execute(
                "INSERT INTO tracked_users VALUES (\(user.text), \(generation), 0, 0, 0)")
        }
    }

    func noteChangedUsers(_ users: some Sequence<UserID>, in connection: any SQLConnection) throws {
        for user in users {
            let generation = try nextGeneration(in: connection)
            let count = try connection.execute(
                """
                UPDATE tracked_users SET wanted = \(generation), retry_at = 0, failures = 0
                WHERE user_id = \(user.text)
                """)
            // Their server has just spoken.
            if count > 0 { try reached(user.serverName.text, in: connection) }
        }
    }

    /// The `/keys/changes` that tells what was missed between two positions of the sync.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges>
    public static func missedChanges(from: String, to: String) -> APICall {
        APICall(.getKeysChanges, query: [("from", from), ("to", to)])
    }

    /// Takes in what was missed. Throws `malformed`, and has then changed nothing, for an answer that does not say it.
    public func noteMissedChanges(_ answer: JSONView, in connection: any SQLConnection) throws {
        guard let changed = answer["changed"], changed.isArray else { throw EncryptionError.malformed(path: "changed") }
        try noteChangedUsers(SyncChanges.users(changed), in: connection)
        try noteLeftUsers(SyncChanges.users(answer["left"]), in: connection)
    }

    /// All lists are stale: changes may have been missed, and nobody says which. The position of the sync is kept together
    /// with what it brought, so this is needed only when the sync begins anew.
    public func noteMissedChanges(in connection: any SQLConnection) throws {
        let generation = try nextGeneration(in: connection)
        try connection.execute("UPDATE tracked_users SET wanted = \(generation), retry_at = 0")
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
        let (only, now) = (users.map { Set($0.map(\.text)) }, now())
        let silent = try silentServers(in: connection)
        let rows = try connection.query(
            "SELECT user_id, wanted, retry_at FROM tracked_users WHERE current < wanted ORDER BY wanted")
        for row in rows {
            let text = try row.text(0)
            if let only, !only.contains(text) { continue }
            let user = try UserID(text)
            guard isDue(try row.integer(2), at: now), !silent.contains(user.serverName.text) else { continue }
            wanted[user] = try row.integer(1)
            guard wanted.count < Limits.usersPerQuery else { break }
        }
        guard !wanted.isEmpty else { return nil }
        let asked = JSONValue.object(Dictionary(wanted.keys.map { ($0.text, JSONValue.array([])) }) { $1 })
        return KeyQuery(
            call: APICall(
                .queryKeys, body: ["device_keys": asked, "timeout": .integer(Limits.remoteKeysMilliseconds)]),
            users: wanted)
    }

    /// Takes the answer in. Devices whose keys do not verify are left out; keys that differ from those first seen are
    /// refused and reported. An answer that is older than one taken already changes nothing.
    public func queried(
        _ query: KeyQuery, response: JSONView, in connection: any SQLConnection
    ) throws -> SyncOutcome {
        var outcome = SyncOutcome()
        var answered: [UserID: [DeviceKeys]] = [:]
        var met: Set<UserID> = []
        let failed = Set((response["failures"]?.members ?? []).map(\.key))
        for server in failed.intersection(query.users.keys.map(\.serverName.text)) {
            try notReached(server, in: connection)
        }
        for (user, generation) in query.users.sorted(by: { $0.key < $1.key }) {
            guard let devices = response["device_keys"]?[user.text], devices.isObject else {
                if !failed.contains(user.serverName.text) { try notAnswered(user, in: connection) }
                continue
            }
            guard let row = try trackedRow(user, in: connection), try row.integer(0) < generation else { continue }
            try reached(user.serverName.text, in: connection)
            let isMet = try isMet(user, in: connection)
            if isMet { met.insert(user) }
            var present: [DeviceKeys] = []
            for (name, view) in devices.members.prefix(Limits.devicesPerUser) {
                do {
                    let keys = try DeviceKeys(view, of: user, device: try DeviceID(name))
                    present.append(keys)
                    if let changed = try keep(keys, isMet: isMet, in: connection) {
                        outcome.changedKeys.append(changed)
                    } else if try takeOffer(of: keys, in: connection) == .withdrawn {
                        outcome.warnings.append(Self.withdrawal(of: user, keys.device))
                    }
                } catch let error as DatabaseError {
                    throw error
                } catch {
                    outcome.warnings.append("a device of \(user) was left out: \(error)")
                }
            }
            answered[user] = present
            try finishQuery(of: user, generation, present: Set(present.map(\.device.text)), in: connection)
        }
        try takeIdentities(of: answered, met, response, &outcome, in: connection)
        return outcome
    }

    private func trackedRow(_ user: UserID, in connection: any SQLConnection) throws -> SQLRow? {
        try connection.query("SELECT current, failures FROM tracked_users WHERE user_id = \(user.text)").first
    }

    /// The server answered, but not for this user: it is asked again, less and less often.
    private func notAnswered(_ user: UserID, in connection: any SQLConnection) throws {
        guard let row = try trackedRow(user, in: connection) else { return }
        let failures = try row.integer(1) + 1
        try connection.execute(
            """
            UPDATE tracked_users SET failures = \(failures), retry_at = \(retryTime(after: failures))
            WHERE user_id = \(user.text)
            """)
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
        try forgetGoneDevices(of: user, in: connection)
        try connection.execute(
            """
            UPDATE tracked_users SET current = \(generation), retry_at = 0, failures = 0 WHERE user_id = \(user.text)
            """)
    }

    /// Whether the user's devices are known as they are now: never those of a user who is not followed.
    func isCurrent(_ user: UserID, in connection: any SQLConnection) throws -> Bool {
        try staleUsers(among: [user], in: connection).isEmpty
    }

    /// Those of the users whose devices are not.
    func staleUsers(among users: [UserID], in connection: any SQLConnection) throws -> [UserID] {
        let current = Set(
            try askAbout(users) { names in
                try connection.query(
                    "SELECT user_id FROM tracked_users WHERE user_id IN \(list: names) AND current >= wanted"
                ).map { try $0.text(0) }
            })
        return users.filter { !current.contains($0.text) }
    }

    // MARK: Servers that do not answer

    /// Those that are left alone for now.
    func silentServers(in connection: any SQLConnection) throws -> Set<String> {
        let now = now()
        return Set(
            try connection.query("SELECT server_name, retry_at FROM server_backoffs").compactMap { row in
                isDue(try row.integer(1), at: now) ? nil : try row.text(0)
            })
    }

    func notReached(_ server: String, in connection: any SQLConnection) throws {
        guard server.utf8.count <= 255 else { return }
        let row = try connection.query("SELECT failures FROM server_backoffs WHERE server_name = \(server)").first
        let failures = (try row?.integer(0) ?? 0) + 1
        let retry = retryTime(after: failures)
        try connection.execute(
            """
            INSERT INTO server_backoffs VALUES (\(server), \(failures), \(retry))
            ON CONFLICT (server_name) DO UPDATE SET failures = excluded.failures, retry_at = excluded.retry_at
            """)
    }

    func reached(_ server: String, in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM server_backoffs WHERE server_name = \(server)")
    }
}
