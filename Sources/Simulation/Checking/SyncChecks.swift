internal import HomeserverStorage
internal import MatrixModel

/// Whether those who followed by `/sync` know all that their servers have, when all is healed.
struct SyncChecks: Sendable {
    let world: World
    let servers: [SimulatedServer]
    let rooms: [RoomID]
    let clients: [SyncingClient]

    func run() async throws {
        var atTheEnd: [SyncingClient] = []
        for client in clients where await client.finish() { atTheEnd.append(client) }
        for room in rooms {
            var views: [ServerName: ServerView] = [:]
            for server in servers { views[server.name] = try await ServerView.read(room, on: server) }
            let mended = Self.mended(Array(views.values), world.records)
            for client in atTheEnd {
                guard let view = views[client.user.server.name] else { continue }
                let (server, user) = (view.server, client.user.user)
                switch (client.rooms[room], view.joined.contains(user)) {
                case (nil, false): break
                case (nil, true): find("\(server) never told \(user) of being joined", room)
                case (.some, false): find("\(server) never told \(user) of being no longer joined", room)
                case (let told?, true):
                    let agreement = SyncAgreement(
                        told: told, view: view, forbidden: world.records.forbidden(in: room), mended: mended,
                        records: world.records)
                    for difference in agreement.differences() { find(difference, room) }
                }
            }
        }
    }

    /// Events of which a server may have had what a redaction leaves, and then a whole copy: those that somebody tampered with,
    /// and those that are redacted somewhere and may have come from there.
    static func mended(_ views: [ServerView], _ records: Records) -> Set<EventID> {
        Set(views.flatMap(\.events.values).filter { $0.redactedBy != nil }.map(\.id)).union(records.tampered.keys)
    }

    private func find(_ text: String, _ room: RoomID) { world.records.find("\(room): \(text)") }
}
