import FedchatKit
import MatrixModel

/// Calls: they last, and the command says more to them while they do.
extension DaemonRequests {
    func call(_ params: JSONValue, _ connection: DaemonConnection) async throws -> JSONValue {
        let name = try text(params, "room")
        let room = try await client.room(named: name, creating: true)
        return try await run(.place(room, invitee: try await invitee(params, name, room)), connection)
    }

    /// Nobody else can answer a call that names whom it is for.
    private func invitee(_ params: JSONValue, _ name: String, _ room: RoomID) async throws -> UserID {
        if name.hasPrefix("@") { return try params.user("room") }
        let others = try await client.members(of: room).map(\.user).filter { $0 != client.user }
        if params["to"] != nil {
            let wanted = try params.user("to")
            guard others.contains(wanted) || wanted == client.user else {
                throw Failure("\(wanted) is not in the room", Failure.Status.notFound)
            }
            return wanted
        }
        guard let first = others.first else {
            throw Failure("nobody else is in the room", Failure.Status.notFound)
        }
        guard others.count == 1 else {
            throw Failure("\(others.count) others are in the room: say whom to call with --to", Failure.Status.usage)
        }
        return first
    }

    func answer(_ params: JSONValue, _ connection: DaemonConnection) async throws -> JSONValue {
        var room: RoomID?
        if let name = params["room"]?.string { room = try await client.room(named: name) }
        let manner = params["manner"]?.string.flatMap { CallPurpose.Manner(rawValue: $0) } ?? .ask
        return try await run(.answer(room, manner), connection)
    }

    private func run(_ purpose: CallPurpose, _ connection: DaemonConnection) async throws -> JSONValue {
        let session = CallSession(purpose, client: client) { output in
            let params: JSONValue =
                switch output {
                case .media(let line): ["media": line]
                case .report(_, let json): ["report": json]
                }
            // If nobody reads it, the call is hung up when its commands end.
            _ = await connection.write(RPC.notification("event", params))
        }
        let end = try await tellingNotices(connection) { try await session.run(connection.callCommands) }
        return ["status": .integer(Int64(end.map(Self.status) ?? 0))]
    }

    private static func status(of end: CallEnd) -> Int32 {
        switch end.reason {
        case .userHangup, .replaced, .ignored: 0
        case .rejected: end.by == .local ? 0 : Failure.Status.notFound
        case .userBusy, .answeredElsewhere, .rejectedElsewhere, .cancelled, .left: Failure.Status.notFound
        case .inviteTimeout: Failure.Status.timeout
        case .iceFailed, .iceTimeout, .sendFailed: Failure.Status.server
        case .userMediaFailed, .unknownError: end.by == .local ? Failure.Status.unexpected : Failure.Status.server
        }
    }
}
