internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Reports of rooms, events and users, kept for the operator (`fedchatd reports`).
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#reporting-content>
struct Reporting: RouteGroup {
    /// Bytes of a reason.
    static let reasonBytes = 4_096

    let environment: Environment
    let rooms: RoomReader
    let limiter: RateLimiter

    func register(on router: inout Router) {
        router.on(.reportRoom) { request, requester in try await reportRoom(request, requester) }
        router.on(.reportEvent) { request, requester in try await reportEvent(request, requester) }
        router.on(.reportUser) { request, requester in try await reportUser(request, requester) }
    }

    /// Whether the room exists is not told: who is not in it could find it out so.
    private func reportRoom(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        let reason = try reason(request, isRequired: true)
        let report = ReportStore.Report(
            created: environment.clock.now(), reporter: requester.user, room: room, reason: reason)
        let sealer = environment.sealer
        try await environment.database.groupedWrite { connection in
            guard try RoomStore(connection).room(room) != nil else { return }
            try ReportStore(connection, sealer).add(report)
        }
        return .empty
    }

    private func reportEvent(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        let event = try request.eventID()
        let reason = try reason(request, isRequired: false)
        try await limiter.take(.messages, who: requester.user.text)
        let report = ReportStore.Report(
            created: environment.clock.now(), reporter: requester.user, room: room, event: event, reason: reason)
        let sealer = environment.sealer
        let rooms = rooms
        let isThere = try await environment.database.read { connection in
            guard let access = try RoomAccess.ifAllowed(room, user: requester.user, rooms: rooms, connection),
                access.membership?.membership == .join,
                let found = try rooms.log(connection).event(event), found.roomNID == access.room.nid,
                found.position != nil
            else { return false }
            return try access.visibility.look(found, at: found.position).isVisible
        }
        guard isThere else {
            throw MatrixError(.notFound, "There is no such event, or you are not in its room")
        }
        try await environment.database.groupedWrite { try ReportStore($0, sealer).add(report) }
        return .empty
    }

    /// Whether a user of ours exists is not told.
    private func reportUser(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try request.userID()
        let reason = try reason(request, isRequired: true)
        let report = ReportStore.Report(
            created: environment.clock.now(), reporter: requester.user, user: user, reason: reason)
        let sealer = environment.sealer
        let isLocal = environment.isLocal(user)
        try await environment.database.groupedWrite { connection in
            if isLocal, try AccountStore(connection).account(user) == nil { return }
            try ReportStore(connection, sealer).add(report)
        }
        return .empty
    }

    private func reason(_ request: APIRequest, isRequired: Bool) throws(MatrixError) -> String {
        let reason = isRequired ? try request.string("reason") : try request.optionalString("reason") ?? ""
        guard reason.utf8.count <= Self.reasonBytes else {
            throw MatrixError(.invalidParameter, "reason is longer than \(Self.reasonBytes) bytes")
        }
        return reason
    }
}
