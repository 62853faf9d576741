internal import MatrixModel

/// Whether those who followed by `/sync` know all that their servers have, when all is healed.
struct SyncChecks: Sendable {
    let world: World
    let rooms: [RoomID]
    let clients: [SyncingClient]

    func run() async throws {
        for client in clients where await client.finish() {
            let known = client.rooms
            for room in rooms {
                guard let view = try await ServerView.read(room, on: client.user.server) else { continue }
                let (server, user) = (view.server, client.user.user)
                switch (known[room], view.joined.contains(user)) {
                case (nil, false): break
                case (nil, true): find("\(server) never told \(user) of being joined", room)
                case (.some, false): find("\(server) never told \(user) of being no longer joined", room)
                case (let told?, true):
                    let agreement = SyncAgreement(told: told, view: view, forbidden: world.records.forbidden)
                    for difference in agreement.differences() { find(difference, room) }
                }
            }
        }
    }

    private func find(_ text: String, _ room: RoomID) { world.records.find("\(room): \(text)") }
}
