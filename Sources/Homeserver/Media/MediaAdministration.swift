public import HomeserverStorage
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

/// What the operator does to files, from the command line or over the admin endpoints: withhold, give free, delete, list.
///
/// A file that is withheld is not there for anybody, other servers included, and neither is any other of the same bytes,
/// whoever uploads them, here or elsewhere. All functions throw `DatabaseError`.
public struct MediaAdministration: Sendable {
    let environment: Environment

    public init(environment: Environment) { self.environment = environment }

    /// An `mxc://` URI in its parts.
    public struct Name: Sendable, Hashable, CustomStringConvertible {
        public let origin: ServerName
        public let mediaID: String

        /// `nil` for anything but `mxc://server/id`.
        public init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 4, parts[0] == "mxc:", parts[1].isEmpty, let origin = try? ServerName(String(parts[2]))
            else { return nil }
            self.init(origin: origin, mediaID: String(parts[3]))
        }

        /// `nil` for a media id outside of its grammar.
        public init?(origin: ServerName, mediaID: String) {
            guard ContentURI(origin: origin, mediaID: mediaID) != nil else { return nil }
            self.origin = origin
            self.mediaID = mediaID
        }

        public var description: String { "mxc://\(origin)/\(mediaID)" }
    }

    /// Withholds a file. How many names its bytes had that were not withheld.
    /// - Parameter by: who wants it; a user's id, or nil for the command line.
    public func quarantine(_ name: Name, by: String? = nil) async throws -> Int {
        let now = environment.clock.now()
        return try await environment.database.write {
            try MediaStore($0).quarantine(name.origin, name.mediaID, by: by, now: now)
        }
    }

    /// Withholds all that a local user has uploaded.
    public func quarantine(uploadsOf user: UserID, by: String? = nil) async throws -> Int {
        let now = environment.clock.now()
        return try await environment.database.write {
            try MediaStore($0).quarantine(uploadsOf: user.text, by: by, now: now)
        }
    }

    /// Withholds all that events of a room name, as far as this server can read them: what an encrypted event names it cannot
    /// know. `nil` when the room is not here.
    public func quarantine(room: RoomID, by: String? = nil) async throws -> Int? {
        guard let record = try await environment.database.read({ try RoomStore($0).room(room) }) else { return nil }
        var count = 0
        var after = Int64.min
        while let (names, last) = try await names(in: record.nid, after: after) {
            let now = environment.clock.now()
            count += try await environment.database.write { connection in
                let store = MediaStore(connection)
                return try names.reduce(0) {
                    $0 + (try store.quarantine($1.origin, $1.mediaID, by: by, now: now))
                }
            }
            after = last
        }
        return count
    }

    /// The files that some events of a room name, and the place of the last of these events.
    private func names(in room: Int64, after: Int64) async throws -> (names: Set<Name>, last: Int64)? {
        let sealer = environment.sealer
        return try await environment.database.read { connection in
            let events = try EventLog(connection, sealer).timeline(
                room: room, after: after, upTo: nil, limit: MediaLimits.deletedAtOnce, newestFirst: false)
            guard let last = events.last?.position else { return nil }
            return (events.reduce(into: []) { $0.formUnion(Self.names(in: $1.pdu.canonicalJSON)) }, last)
        }
    }

    /// The files that bytes of JSON name, wherever in it: as a URL, as a thumbnail's, in formatted text.
    static func names(in json: [UInt8]) -> Set<Name> {
        let mark = Array("mxc://".utf8)
        var found: Set<Name> = []
        var rest = json[...]
        while let start = rest.firstRange(of: mark) {
            rest = rest[start.upperBound...]
            let server = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\"") }
            let mediaID = rest[server.endIndex...].dropFirst().prefix { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
            guard server.count <= 255, let origin = try? ServerName(String(decoding: server, as: UTF8.self)),
                let name = Name(origin: origin, mediaID: String(decoding: mediaID, as: UTF8.self))
            else { continue }
            found.insert(name)
        }
        return found
    }

    /// Gives a file free again. How many names its bytes had that were withheld.
    public func release(_ name: Name) async throws -> Int {
        try await environment.database.write { try MediaStore($0).release(name.origin, name.mediaID) }
    }

    /// Deletes a file: one of ours for good, a copy of another server's until somebody asks for it again. Whether it was
    /// there. Its bytes go within hours, unless another file has the same.
    public func delete(_ name: Name) async throws -> Bool {
        let now = environment.clock.now()
        return try await environment.database.write {
            try MediaStore($0).delete(name.origin, name.mediaID, now: now)
        }
    }

    /// Deletes copies of other servers' files that nobody has asked for since a time (milliseconds since 1970).
    public func deleteCopies(unusedSince time: Int64) async throws -> Int {
        let own = environment.serverName
        let now = environment.clock.now()
        var count = 0
        while !Task.isCancelled {
            let step = try await environment.database.write {
                try MediaStore($0).deleteCopies(
                    of: own, unusedSince: time, limit: MediaLimits.deletedAtOnce, now: now)
            }
            count += step
            if step < MediaLimits.deletedAtOnce { break }
        }
        return count
    }

    /// Files in the order of their names.
    public func list(_ filter: MediaStore.Filter, after: Name? = nil, limit: Int) async throws -> [MediaRecord] {
        try await environment.database.read {
            try MediaStore($0).list(filter, after: after.map { ($0.origin.text, $0.mediaID) }, limit: limit)
        }
    }
}
