internal import ClientEncryption
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

extension Client {
    /// Before the next message after a gap: looks for messages of ours in it that this store knows nothing of. Where that
    /// cannot be settled the room's key stays doubted, and a new one is made.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages>
    func settleDoubt(about room: RoomID) async throws {
        let machine = machine
        guard var from = try await database.read({ try machine.doubt(about: room, in: $0) }) else { return }
        let filter: JSONValue = ["senders": [.string(user.text)], "types": ["m.room.encrypted"]]
        for _ in 0..<ClientLimits.doubtPages {
            let answer: JSONView
            do {
                answer = try await call(
                    APICall(
                        .getRoomEvents, ["roomId": room.text],
                        query: [
                            ("dir", "b"), ("from", from), ("limit", "\(ClientLimits.pageEvents)"),
                            ("filter", String(decoding: filter.serialized(), as: UTF8.self)),
                        ]))
            } catch let error as ClientError where !error.isTransient { return }
            let (events, next) = (try answer.requiredArray("chunk"), answer["end"]?.string)
            let isSettled = try await database.write { connection in
                for event in events where try machine.settleDoubt(about: room, by: event, in: connection) {
                    return true
                }
                // The room's beginning.
                if next == nil { try machine.trustRoomKey(of: room, in: connection) }
                return next == nil
            }
            guard !isSettled, let next, next != from else { return }
            from = next
        }
    }
}
