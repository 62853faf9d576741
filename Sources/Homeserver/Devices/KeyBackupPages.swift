internal import HTTPMessages
internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// The keys of a backup as one JSON object, read some at a time: a backup may be larger than what one answer should hold.
actor KeyBackupPages {
    private enum Place { case start, after(room: String, session: String), end }

    private let database: any Database
    private let user: UserID
    private let version: Int64
    private let scope: KeyBackupStore.Scope
    private var place = Place.start

    /// - Parameter scope: all rooms, then the answer is `{"rooms": …}`, or one, then it is `{"sessions": …}`.
    init(database: any Database, user: UserID, version: Int64, scope: KeyBackupStore.Scope) {
        self.database = database
        self.user = user
        self.version = version
        self.scope = scope
    }

    /// The next bytes, or nil at the end.
    func next() async throws(HTTPBodyError) -> [UInt8]? {
        let last: (roomID: String, sessionID: String)?
        switch place {
        case .start: last = nil
        case .after(let room, let session): last = (room, session)
        case .end: return nil
        }
        let limit = DeviceLimits.backupKeysPerPage
        let (user, version, scope) = (user, version, scope)
        let keys: [KeyBackupStore.Key]
        do {
            keys = try await database.read { connection in
                try KeyBackupStore(connection).keys(scope, of: user, version: version, after: last, limit: limit)
            }
        } catch { throw .disconnected }
        var text: [UInt8] = last == nil ? Array((scope.roomID == nil ? #"{"rooms":{"# : #"{"sessions":{"#).utf8) : []
        var room = last?.roomID
        for key in keys {
            if key.roomID != room {
                if scope.roomID == nil {
                    if room != nil { text += Array("}},".utf8) }
                    text += JSONValue.string(key.roomID).serialized() + Array(#":{"sessions":{"#.utf8)
                }
                room = key.roomID
            } else {
                text.append(UInt8(ascii: ","))
            }
            text += JSONValue.string(key.sessionID).serialized() + [UInt8(ascii: ":")]
            var writer = JSONWriter()
            KeyBackup.write(key, into: &writer)
            text += writer.bytes
        }
        if keys.count == limit, let key = keys.last {
            place = .after(room: key.roomID, session: key.sessionID)
        } else {
            text += Array((scope.roomID == nil && room != nil ? "}}}}" : "}}").utf8)
            place = .end
        }
        return text
    }
}
