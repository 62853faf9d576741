internal import Federation
internal import MatrixAPI
internal import MatrixModel

/// Asks other servers for their room directories.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#published-room-directory>
struct RemoteDirectory: RemotePublicRooms {
    /// Bytes of an answer.
    private static let maximumBytes = 4 << 20
    /// Rooms of one page.
    private static let maximumRooms = 500

    let environment: Environment
    let client: FederationClient

    func publicRooms(at server: ServerName, _ query: PublicRooms.Query) async throws(MatrixError) -> JSONValue {
        var body: JSONValue = ["limit": .integer(Int64(min(max(query.limit ?? 100, 1), Self.maximumRooms)))]
        if let since = query.since { body["since"] = .string(since) }
        var filter: JSONValue = [:]
        if let term = query.term { filter["generic_search_term"] = .string(term) }
        if let types = query.types { filter["room_types"] = .array(types.map { $0.map { .string($0) } ?? .null }) }
        if !filter.members.isEmpty { body["filter"] = filter }
        let answer: JSONView
        do {
            answer = try await client.json(
                APICall(.federationQueryPublicRooms, body: body), at: server,
                timeout: .milliseconds(environment.configuration.timeouts.federationRequest),
                maximumBytes: Self.maximumBytes)
        } catch {
            switch error {
            case .refused(let status, _) where status < 500:
                throw MatrixError(.forbidden, "\(server) does not show its directory")
            case .notAllowed: throw MatrixError(.forbidden, "This server does not speak to \(server)")
            default: throw MatrixError(.unknown, "\(server) could not be asked", status: 502)
            }
        }
        guard let rooms = answer["chunk"], rooms.kind == .array else {
            throw MatrixError(.unknown, "\(server) answered with something else", status: 502)
        }
        var result: JSONValue = [
            "chunk": .array(
                rooms.elements.prefix(Self.maximumRooms).filter { $0.kind == .object }.map { JSONValue($0) })
        ]
        for key in ["next_batch", "prev_batch"] {
            if let token = answer[key]?.string { result[key] = .string(token) }
        }
        if let total = answer["total_room_count_estimate"]?.integer {
            result["total_room_count_estimate"] = .integer(total)
        }
        return result
    }
}
