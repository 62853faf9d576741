import HTTPTypes
import MatrixAPI
import MatrixModel
import Testing

@testable import Homeserver

/// A client of sliding sync: it goes on from its last answer.
struct SlidingClient {
    let server: SyncServer
    let user: UserID
    var device = "D1"
    var connection: String?
    var shape = SlidingShape.simplified
    var pos: String?
    var lists: JSONValue = [:]
    var subscriptions: JSONValue = [:]
    var extensions: JSONValue = [:]

    init(_ server: SyncServer, _ user: UserID, _ shape: SlidingShape = .simplified) {
        self.server = server
        self.user = user
        self.shape = shape
    }

    /// One list, `all`.
    mutating func follow(
        _ range: ClosedRange<Int64>? = 0...99, limit: Int64 = 10, state: JSONValue? = nil, filters: JSONValue? = nil
    ) {
        lists = ["all": list(range, limit: limit, state: state, filters: filters)]
    }

    func list(
        _ range: ClosedRange<Int64>?, limit: Int64, state: JSONValue? = nil, filters: JSONValue? = nil
    ) -> JSONValue {
        let ends = range.map { JSONValue.array([.integer($0.lowerBound), .integer($0.upperBound)]) }
        return .fields([
            "timeline_limit": .integer(limit), "required_state": state ?? (shape == .stable ? [:] : []),
            "range": shape == .stable ? ends : nil, "ranges": shape == .stable ? nil : ends.map { [$0] },
            "filters": filters,
        ])
    }

    mutating func subscribe(to room: RoomID, limit: Int64 = 10, state: JSONValue? = nil) {
        subscriptions = .object([
            room.text: .fields([
                "timeline_limit": .integer(limit), "required_state": state ?? (shape == .stable ? [:] : []),
            ])
        ])
    }

    /// Asks without going on.
    func ask(timeout: Int64 = 0) async throws -> Answer {
        var body: [String: JSONValue] = [:]
        if !lists.members.isEmpty { body["lists"] = lists }
        if !subscriptions.members.isEmpty { body["room_subscriptions"] = subscriptions }
        if !extensions.members.isEmpty { body["extensions"] = extensions }
        if let connection { body["conn_id"] = .string(connection) }
        var path = "v4/sync"
        if shape == .stable {
            if let pos { body["pos"] = .string(pos) }
            body["timeout"] = .integer(timeout)
        } else {
            path = "unstable/org.matrix.simplified_msc3575/sync?timeout=\(timeout)"
            if let pos { path += "&pos=\(pos)" }
        }
        return try await server.call(.post, path, as: user, device: device, .object(body))
    }

    /// Asks and goes on.
    mutating func sync(timeout: Int64 = 0) async throws -> Answer {
        let answer = try await ask(timeout: timeout)
        #expect(answer.status == 200, "\(answer.body)")
        pos = answer["pos"]?.string
        return answer
    }
}

extension Answer {
    /// What a sliding sync says of a room.
    func sliding(_ id: RoomID) -> JSONValue? { body["rooms"]?[id.text] }

    /// The bodies or types of its timeline.
    func slidingTimeline(_ id: RoomID) -> [String] { (sliding(id)?["timeline"]?.elements ?? []).map(Self.name) }

    /// The types of its state.
    func slidingState(_ id: RoomID) -> [String] {
        (sliding(id)?["required_state"]?.elements ?? []).map(Self.name).sorted()
    }

    /// The rooms there is something about.
    var slidingRooms: Set<String> { Set((body["rooms"]?.members ?? []).map(\.key)) }

    var roomCount: Int64? { body["lists"]?["all"]?["count"]?.integer }

    func extensionPart(_ name: String) -> JSONValue? { body["extensions"]?[name] }
}
