internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Answers other servers' questions about aliases. Questions that the spec does not know have no answer.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#querying-for-information>
struct QueryAnswering: RouteGroup {
    let environment: Environment
    let reader: RoomReader

    func register(on router: inout Router) {
        router.onServer(.queryInfo) { _, _ in
            throw MatrixError(.unrecognized, "Nobody here can answer such a query", status: 404)
        }
        router.onServer(.queryRoomDirectory) { request, origin in
            let alias: RoomAlias = try request.identifier("room_alias")
            let target = try await environment.database.read { try AliasStore($0).target(of: alias) }
            guard alias.serverName == environment.serverName, let target else {
                throw MatrixError(.notFound, "The alias is not known")
            }
            var servers = [environment.serverName]
            if let room = try await reader.record(target.room) {
                servers += try await reader.joinedServers(room).filter { $0 != environment.serverName }
            }
            return .json([
                "room_id": .string(target.room.text),
                "servers": .array(servers.prefix(100).map { .string($0.text) }),
            ])
        }
    }
}
