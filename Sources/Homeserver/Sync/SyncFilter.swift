internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What a client wants of a sync.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridfilter>
struct SyncFilter: Sendable {
    /// Applies to the rooms of all parts.
    var rooms = EventFilter.all
    var includesLeft = false
    var timeline = EventFilter.all
    var state = EventFilter.all
    var ephemeral = EventFilter.all
    var roomAccountData = EventFilter.all
    var accountData = EventFilter.all
    var presence = EventFilter.all
    var format = EventFormat.client

    init() {}

    init(_ json: JSONView) {
        let room = json["room"]
        rooms.rooms = EventFilter(room).rooms
        rooms.notRooms = EventFilter(room).notRooms
        includesLeft = room?["include_leave"]?.bool ?? false
        timeline = EventFilter(room?["timeline"])
        state = EventFilter(room?["state"])
        ephemeral = EventFilter(room?["ephemeral"])
        roomAccountData = EventFilter(room?["account_data"])
        accountData = EventFilter(json["account_data"])
        presence = EventFilter(json["presence"])
        format.isFederation = json["event_format"]?.string == "federation"
        if let fields = json["event_fields"]?.array {
            format.fields = fields.prefix(SyncLimits.filterEntries).compactMap(\.string).map { PropertyPath($0).names }
        }
    }

    /// Members are left out unless they are of use. For a sync this is asked for in the filter of the state.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync>
    var lazyLoadsMembers: Bool { state.lazyLoadsMembers }
}

/// How a client wants room events.
struct EventFormat: Sendable {
    /// As servers have them.
    var isFederation = false
    /// Only these fields, if any are named: the keys on the way to each.
    var fields: [[String]]?

    static let client = EventFormat()
}

/// Finds the filter that a request names. A filter never changes, so what was parsed is kept.
struct FilterReader: Sendable {
    private struct Key: Hashable {
        var user: UserID
        var id: Int64
    }

    private let database: any Database
    private let parsed = BoundedCache<Key, SyncFilter>(budget: SyncLimits.filterBytes)

    init(database: any Database) { self.database = database }

    /// The filter of a sync: JSON, or the id of one that was kept. Throws `M_BAD_JSON`, `M_INVALID_PARAM`.
    func filter(_ text: String?, of user: UserID) async throws -> SyncFilter {
        guard let text else { return SyncFilter() }
        if text.utf8.first == 0x7B { return SyncFilter(try Self.parse(text)) }
        guard let id = Int64(text) else { throw MatrixError(.invalidParameter, "filter is neither an id nor JSON") }
        let key = Key(user: user, id: id)
        if let known = parsed.value(key) { return known }
        let stored = try await database.read { try FilterStore($0).filter(id, of: user) }
        guard let stored, let document = try? JSONDocument(stored) else {
            throw MatrixError(.invalidParameter, "No such filter")
        }
        let filter = SyncFilter(document.root)
        parsed.put(key, filter, cost: stored.count * 4 + 512)
        return filter
    }

    /// The filter of one list of events, as `/messages` and `/context` have it.
    static func eventFilter(_ text: String?) throws(MatrixError) -> EventFilter {
        guard let text else { return .all }
        return EventFilter(try parse(text))
    }

    private static func parse(_ text: String) throws(MatrixError) -> JSONView {
        guard text.utf8.count <= AuthenticationLimits.filterBytes, let document = try? JSONDocument(Array(text.utf8)),
            document.root.isObject
        else { throw MatrixError(.badJSON, "The filter is not a JSON object") }
        return document.root
    }
}
