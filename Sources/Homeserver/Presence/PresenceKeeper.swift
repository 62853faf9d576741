internal import HomeserverStorage
internal import Logging
public import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Knows who is there: by what users set, by who syncs, and by what other servers say. Does nothing where the operator
/// turned presence off. Spec: <https://spec.matrix.org/v1.19/client-server-api/#presence>
public final class PresenceKeeper: Sendable {
    /// What a presence can be.
    static let states: Set<String> = ["online", "unavailable", "offline"]

    private struct Seen {
        /// What the user's syncs ask for.
        var state: String
        /// Milliseconds since 1970 when the newest sync ends at the latest.
        var at: Int64
        /// Milliseconds since 1970 when the row was last written.
        var written: Int64
    }

    private let environment: Environment
    private let sender: (any EphemeralSending)?
    private let seen = Mutex<[UserID: Seen]>([:])

    /// - Parameter sender: brings presence to other servers, where the configuration has it so.
    public init(environment: Environment, sender: (any EphemeralSending)? = nil) {
        self.environment = environment
        self.sender = environment.configuration.presence.federate ? sender : nil
    }

    var isEnabled: Bool { environment.configuration.presence.isEnabled }

    /// A user syncs, and is there or not by that.
    /// - Parameter duration: for how many milliseconds the sync may wait.
    func syncs(_ user: UserID, as state: String, for duration: Int64) async {
        guard isEnabled, state != "offline" else { return }
        let now = environment.clock.now()
        let isNews = seen.withLock { seen in
            let known = seen[user]
            guard known != nil || seen.count < SyncLimits.presentUsers else { return false }
            let isStale = known.map { now - $0.written > SyncLimits.offlineAfter || $0.state != state } ?? true
            seen[user] = Seen(state: state, at: now + duration, written: isStale ? now : known?.written ?? now)
            return isStale
        }
        guard isNews else { return }
        do {
            try await keep(user, state: state, message: nil, keepsMessage: true, isActive: state == "online")
        } catch {
            environment.logger.debug("presence", metadata: ["cause": "\(error)"])
        }
    }

    /// A user sets a presence.
    /// - Throws: `DatabaseError`.
    func set(_ user: UserID, state: String, message: String?) async throws {
        guard isEnabled else { return }
        try await keep(user, state: state, message: message, keepsMessage: false, isActive: state == "online")
    }

    /// What is known of a user; nil for nothing.
    /// - Throws: `DatabaseError`.
    func presence(of user: UserID) async throws -> PresenceStore.Presence? {
        try await environment.database.read { try PresenceStore($0).presence(of: user) }
    }

    /// Whether somebody shares a room with a user, and so may see the user's presence.
    /// - Throws: `DatabaseError`.
    func mayBeSeen(_ user: UserID, by other: UserID) async throws -> Bool {
        if user == other { return true }
        return try await environment.database.read { try !SharedRooms($0).sharing([user], with: other).isEmpty }
    }

    private func keep(
        _ user: UserID, state: String, message: String?, keepsMessage: Bool, isActive: Bool
    ) async throws {
        let now = environment.clock.now()
        let federates = sender != nil
        let local = environment.serverName
        let (kept, servers) = try await environment.database.groupedWrite { connection in
            let store = PresenceStore(connection)
            let known = try store.presence(of: user)
            let presence = PresenceStore.Presence(
                user: user, state: state, statusMessage: keepsMessage ? known?.statusMessage : message,
                lastActive: isActive ? now : known?.lastActive ?? 0)
            guard try store.set(presence, now: now, waking: local), federates else {
                return (presence, Set<ServerName>())
            }
            return (presence, try RoomStore(connection).serversSharingRooms(with: user))
        }
        guard let sender, !servers.isEmpty else { return }
        var writer = JSONWriter()
        PresenceContent.write(kept, now: now, into: &writer)
        var item = (try? JSONValue.parse(writer.bytes)) ?? [:]
        item["user_id"] = .string(user.text)
        sender.send(
            type: "m.presence", key: "presence:\(user)", content: ["push": [item]],
            to: servers.filter { $0 != environment.serverName })
    }

    /// Takes in an `m.presence` EDU of another server.
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#presence>
    public func receivePresence(_ content: JSONView, from origin: ServerName) async throws {
        guard isEnabled else { return }
        let now = environment.clock.now()
        var found: [PresenceStore.Presence] = []
        for item in (content["push"]?.elements ?? []).prefix(SyncLimits.itemsPerEDU) {
            guard let user = item["user_id"]?.string.flatMap({ try? UserID($0) }), user.serverName == origin,
                let state = item["presence"]?.string, Self.states.contains(state)
            else { continue }
            let ago = item["last_active_ago"]?.integer.map { min(max($0, 0), now) }
            let message = item["status_msg"]?.string.flatMap { Self.isMessage($0) ? $0 : nil }
            found.append(
                .init(user: user, state: state, statusMessage: message, lastActive: ago.map { now - $0 } ?? 0))
        }
        guard !found.isEmpty else { return }
        let presences = found
        let local = environment.serverName
        try await environment.database.groupedWrite { connection in
            let store = PresenceStore(connection)
            // Of people nobody here shares a room with there is nothing to know.
            for presence in presences where try !RoomStore(connection).memberships(of: presence.user, .join).isEmpty {
                try store.set(presence, now: now, waking: local)
            }
        }
    }

    static func isMessage(_ text: String) -> Bool {
        text.utf8.count <= SyncLimits.statusBytes && !text.utf8.contains(0)
    }

    /// Lets those be offline who no longer sync. Called every few seconds.
    func expire() async throws {
        guard isEnabled else { return }
        let now = environment.clock.now()
        let gone = seen.withLock { seen in
            let gone = seen.filter { now - $0.value.at > SyncLimits.offlineAfter }.keys
            for user in gone { seen[user] = nil }
            return Array(gone)
        }
        // Those of nodes that died are found by their rows.
        let server = environment.serverName
        let unseen = try await environment.database.read { connection in
            try PresenceStore(connection).unseen(since: now - 3 * SyncLimits.offlineAfter, server: server, limit: 100)
        }
        for user in Set(gone).union(unseen.map(\.user)) {
            try await keep(user, state: "offline", message: nil, keepsMessage: true, isActive: false)
        }
    }
}
