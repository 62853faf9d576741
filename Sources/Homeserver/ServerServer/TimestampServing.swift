internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Tells servers in a room which event is closest to a time.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid>
struct TimestampServing: RouteGroup {
    let serving: RoomServing

    func register(on router: inout Router) {
        router.onServer(.federationGetEventByTimestamp) { request, origin in
            let room = try await serving.room(request.roomID(), for: origin)
            guard let text = request.query("ts") else { throw MatrixError(.missingParameter, "Missing ts") }
            guard let time = Int64(text) else { throw MatrixError(.invalidParameter, "ts is not an integer") }
            let direction = request.query("dir") ?? "f"
            guard direction == "f" || direction == "b" else {
                throw MatrixError(.invalidParameter, "dir is neither b nor f")
            }
            let events = try await serving.environment.database.read { connection in
                try serving.reader.log(connection).events(
                    room: room.nid, closestTo: time, forward: direction == "f", limit: SyncLimits.timestampCandidates)
            }
            for event in events where try await serving.isVisible(event, to: origin) {
                return .json([
                    "event_id": .string(event.id.text), "origin_server_ts": .integer(event.pdu.originServerTimestamp),
                ])
            }
            throw MatrixError(.notFound, "No event at that time")
        }
    }
}
