internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Tells other servers of a space and its children, as far as their users could see these.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#spaces>
struct HierarchyServing: RouteGroup {
    let environment: Environment
    let descriptions: RoomDescriptions

    func register(on router: inout Router) {
        router.onServer(.federationGetSpaceHierarchy) { request, origin in
            let id = try request.roomID()
            let suggestedOnly = try request.queryBoolean("suggested_only")
            return .json(try await hierarchy(of: id, suggestedOnly: suggestedOnly, for: origin))
        }
    }

    private func hierarchy(
        of id: RoomID, suggestedOnly: Bool, for origin: ServerName
    ) async throws -> JSONValue {
        let server = environment.serverName
        return try await environment.database.read { connection in
            guard let room = try descriptions.resident(id, server, connection),
                let space = try descriptions.describe(room, connection),
                try descriptions.isVisible(room, space.description, to: origin, connection)
            else { throw MatrixError(.notFound, "The room is not known here, or not for this server") }
            var children: [JSONValue] = []
            var inaccessible: [JSONValue] = []
            for child in space.children where child.isSuggested || !suggestedOnly {
                // Of rooms that are not here nothing is said.
                guard let room = try descriptions.resident(child.room, server, connection),
                    let described = try descriptions.describe(room, connection)
                else { continue }
                if try descriptions.isVisible(room, described.description, to: origin, connection) {
                    children.append(described.json(suggestedOnly: suggestedOnly))
                } else {
                    inaccessible.append(.string(child.room.text))
                }
            }
            return [
                "room": space.json(suggestedOnly: suggestedOnly), "children": .array(children),
                "inaccessible_children": .array(inaccessible),
            ]
        }
    }
}
